"""The walk: every quoted line stands where it is said to, every step of AdamW is the engine's."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.look.small_pages import bert, data_in, gpt, tokenizer

import minibert as mb
from minibert.checkpoints.safetensors import save_file
from minibert.errors import InputError
from minibert.look.data import find_view, stored_array
from minibert.look.page import html_page
from minibert.look.subject import make_subject
from minibert.look.walk import adamw_part, backward, stored_optimizer
from minibert.training.optim import AdamW, clip_grad_norm_, decay_groups
from minibert.training.settings import TrainingSettings

ROOT = Path(mb.__path__[0]).parent


def quotes(value):
    """All quoted lines within the data of a page."""
    if isinstance(value, dict):
        if {"file", "line", "text"} <= set(value):
            yield value
        for part in value.values():
            yield from quotes(part)
    elif isinstance(value, list):
        for part in value:
            yield from quotes(part)


@pytest.mark.parametrize("make, cls", [
    (bert, mb.BertForPreTraining), (bert, mb.BertForTokenClassification), (gpt, None)])
def test_a_quoted_line_is_the_line_of_that_file(make, cls):
    words = tokenizer()
    model = make(words, cls) if cls else make(words)
    data = data_in(html_page(mb.look(model, words, "the bank is muddy").data))
    found = list(quotes(data))
    assert len(found) >= 20
    for quote in found:
        lines = (ROOT / quote["file"]).read_text(encoding="utf-8").splitlines()
        assert lines[quote["line"] - 1].strip() == quote["text"]
        function = data["sources"][f"{quote['file']}:{quote['first']}"].splitlines()
        assert function[0].startswith("def ")
        assert function[quote["line"] - quote["first"]].strip() == quote["text"]
    assert sum(map(len, data["sources"].values())) <= 20_000


# What the line of a step must hold: the name of what computes it.
NAMES = {"pieces": "ids", "embed": "hook_pos_embed", "norm": "sqrt(variance", "qkv": "self.qkv(",
         "scores": "query @ key", "mask": "masked_fill", "softmax": "exponentials",
         "mixture": "weights @", "output": "self.output(", "residual": "self.attention",
         "neurons": "gelu(", "mlp": "self.output(", "logits": "linear(", "loss": "masked_fill"}


@pytest.mark.parametrize("make, norm_first", [(bert, False), (gpt, True)])
def test_the_steps_are_in_the_order_of_the_model(make, norm_first):
    words = tokenizer()
    [part] = find_view(mb.look(make(words), words, "the bank").data, "walk")["models"]
    names = [step["name"] for step in part["steps"]]
    assert set(names) == set(NAMES)
    assert (names.index("norm") < names.index("qkv")) is norm_first
    for step in part["steps"]:
        assert NAMES[step["name"]] in step["forward"]["text"], step["name"]


@pytest.mark.parametrize("make", [bert, gpt])
def test_a_weight_moves_as_the_optimizer_moves_it(make):
    """The second step: at the first one AdamW does not depend on the gradient's scale."""
    words = tokenizer()
    model = make(words)
    names = [name for name, _ in model.named_parameters()]
    optimizer = stored_optimizer(model)
    _, decayed, _ = decay_groups(model, 0.01)
    groups = [{"params": [p], "weight_decay": 0.01 if name in decayed else 0.0}
              for name, p in model.named_parameters()]
    stepper = AdamW(groups, lr=optimizer["lr"], betas=optimizer["betas"], eps=optimizer["eps"])
    for step in (1, 2):
        subject = make_subject("", model, words, "the bank is")
        backward(subject)
        part = adamw_part(subject, optimizer | {"step": step})
        for name, parameter in model.named_parameters():
            parameter.grad = subject.gradients.get(name)
        norm = clip_grad_norm_(model.parameters(), optimizer["clip"])
        assert np.isclose(norm, part["optimizer"]["norm"], rtol=1e-5) and norm > optimizer["clip"]
        stepper.step()
        optimizer["moments"] = {names[i]: (entry["exp_avg"].copy(), entry["exp_avg_sq"].copy())
                                for i, entry in stepper.state_dict()["state"].items()}
    moved = model.state_dict()
    assert len(part["weights"]) >= 8
    for one in part["weights"]:
        name, index = one["name"][:-1].split("[")
        assert np.isclose(moved[name][tuple(map(int, index.split(", ")))], one["new"], rtol=1e-5,
                          atol=1e-8), name


def test_the_loss_is_that_of_the_target_alone():
    words = tokenizer()
    subject = make_subject("GPT", gpt(words), words, "the bank is", target="muddy")
    loss = backward(subject)
    logits = subject.outputs.logits.data[0, -1].astype(np.float64)
    p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert np.isclose(loss, -np.log(p[words.vocab["muddy"]]), rtol=1e-5)
    expected = p - (np.arange(len(p)) == words.vocab["muddy"])
    assert np.allclose(subject.logits.grad, expected, atol=1e-6)
    later = subject.cache.grad("blocks.1.hook_resid_post")[0]
    assert not later[:-1].any() and later[-1].any()  # only the last token's vector is scored


def test_looking_leaves_the_gradients_of_a_model_alone():
    words = tokenizer()
    model = gpt(words)
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    look = mb.look(model, words, "the bank")
    assert all((parameter.grad == 1).all() for parameter in model.parameters())
    again = mb.look(gpt(words), words, "the bank")
    assert find_view(look.data, "walk") == find_view(again.data, "walk")


def test_the_strongest_neurons_are_chosen_after_the_activation():
    words = tokenizer()
    subject = make_subject("BERT", bert(words), words, "the bank is")
    data = mb.look(subject.model, words, "the bank is").data
    post = subject.cache["blocks.0.mlp.hook_post"][0]
    numbers = stored_array(data, 0, "blocks.0.neurons.numbers").astype(int)
    shown = stored_array(data, 0, "blocks.0.neurons.post")
    for token, values in enumerate(post):
        assert np.abs(values[numbers[token, 0]]) == np.abs(values).max()
        assert np.array_equal(values[numbers[token]], shown[token])


def write_checkpoint(folder, step, arrays, **settings):
    """A checkpoint of a run, as far as stored_optimizer reads it."""
    folder.mkdir()
    state = {"schema": "minibert.state.1", "about": {}, "best": None, "held_out": {},
             "log_bytes": 0, "seconds": 0, "step_seconds": 0, "tokens": 0, "step": step,
             "settings": {"steps": 9, "lr": 0.02, **settings}}
    (folder / "state.json").write_text(json.dumps(state))
    save_file(arrays, folder / "optimizer.safetensors")


def test_moments_of_a_run_count_only_at_its_last_step(tmp_path):
    model = bert(tokenizer())
    names = [name for name, _ in model.named_parameters()]
    moments = {f"{kind}.{name}": np.full_like(model.state_dict()[name], value) for name in names
               for kind, value in (("exp_avg", 0.5), ("exp_avg_sq", 0.25))}
    for name, step in (("best", 5), ("latest", 9)):
        write_checkpoint(tmp_path / name, step, moments, betas=[0.8, 0.9], weight_decay=0.3)
    last = stored_optimizer(model, tmp_path / "latest")
    assert (last["step"], last["lr"], last["betas"]) == (10, 0.02, (0.8, 0.9))
    assert set(last["moments"]) == set(names) and (last["moments"][names[0]][0] == 0.5).all()
    best = stored_optimizer(model, tmp_path / "best")
    assert (best["step"], best["lr"], best["moments"]) == (1, 0.02, {})
    assert stored_optimizer(model)["lr"] == TrainingSettings().lr


@pytest.mark.parametrize("settings, moments, words", [
    ({"lr": "fast"}, (1, 1), "state.json: lr = 'fast'"), ({"betas": [0.9]}, (1, 1), "json: betas"),
    ({"clip": -1}, (1, 1), "state.json: clip"), ({"speed": 1}, (1, 1), "state.json: .*'speed'"),
    ({}, (1, np.inf), "the moments of"),
    ({}, (np.nan, 1), "the moments of"), ({}, (1, -1), "the moments of"),
    ({}, (1, [1, 1]), "the moments of"), ({}, (1,), "two arrays")])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, settings, moments, words):
    model = bert(tokenizer())
    name, weights = next(iter(model.state_dict().items()))
    arrays = [np.float32(value) * np.ones(np.shape(value) or weights.shape, np.float32)
              for value in moments]
    write_checkpoint(tmp_path / "latest", 9, dict(zip((f"exp_avg.{name}", f"exp_avg_sq.{name}"),
                                                      arrays)), **settings)
    with pytest.raises(InputError, match=words):
        stored_optimizer(model, tmp_path / "latest")


def test_of_a_run_with_muon_the_weights_that_adamw_steps_are_shown(tmp_path):
    model, words = bert(tokenizer()), tokenizer()
    hidden = [name for name, one in model.named_parameters() if one.ndim == 2 and any(
        part in name for part in ("stack.", "pooler.", "mlm_head.dense"))]
    others = [name for name, one in model.named_parameters() if name not in hidden]
    values = model.state_dict()
    write_checkpoint(tmp_path / "latest", 3, {
        **{f"momentum_buffer.{name}": values[name] for name in hidden},
        **{f"{kind}.{name}": np.ones_like(values[name]) for name in others
           for kind in ("exp_avg", "exp_avg_sq")}}, optimizer="muon")
    found = stored_optimizer(model, tmp_path / "latest")
    assert (found["lr"], found["step"]) == (0.02, 4) and "Muon" in found["note"]
    assert set(found["moments"]) == set(others) and set(found["decays"]) == set(others)
    subject = make_subject("BERT", model, words, "the bank is [MASK]")
    backward(subject)
    shown = {one["name"].split("[")[0] for one in adamw_part(subject, found)["weights"]}
    assert shown and not shown & set(hidden)
    assert shown | set(hidden) >= {name for name, one in subject.gradients.items()
                                   if one.ndim == 2 and one.any()}
