"""Named activations: looking changes nothing, values and names are TransformerLens's (stored by
make_hooks_reference.py), hooks act where they say, and no mistake passes in silence."""

from pathlib import Path

import numpy as np
import pytest

import minibert as mb
from minibert.errors import InputError
from tests.models.small_models import (VARIANTS, B, C, CLASSES, T, batch, small, tensors_of,
                                       variant_changes, weighted_sum)

STORED = np.load(Path(__file__).parent / "hooks_reference.npz")
ROOT = Path(mb.__file__).parents[1]
LM = [mb.GPT2LMHeadModel, mb.BertForMaskedLM]
Z = "blocks.1.attn.hook_z"


def inputs_of(model_class, variant="plain"):
    """A batch with padding in its second row, and a generator for dropout."""
    mask = np.ones((B, T), int)
    mask[1, 4:] = 0
    return {**batch(model_class, variant=variant), "attention_mask": mask,
            "rng": np.random.default_rng(1)}


# ---- looking changes nothing ---------------------------------------------------------------------


@pytest.mark.parametrize("model_class, variant", [
    *[(model_class, "plain") for model_class in CLASSES],
    *[(model_class, variant) for model_class in LM for variant in VARIANTS
      if variant_changes(model_class, variant) is not None]])
def test_outputs_are_those_of_a_plain_call(model_class, variant):
    model = small(model_class, variant=variant)
    plain = model(**inputs_of(model_class, variant), output_hidden_states=True)
    looked, cache = model.run_with_cache(**inputs_of(model_class, variant), grads=True)
    for name, tensor in tensors_of(looked).items():
        scale = max(1, abs(tensor.data).max())
        assert abs(tensor.data - tensors_of(plain)[name].data).max() <= 1e-12 * scale
    streams = ({"": plain.hidden_states} if hasattr(plain, "hidden_states") else
               {"encoder.": plain.encoder_hidden_states, "decoder.": plain.decoder_hidden_states})
    for side, states in streams.items():
        for layer, state in enumerate(states[:-1]):
            np.testing.assert_allclose(cache[f"{side}blocks.{layer}.hook_resid_pre"], state.data,
                                       rtol=0, atol=1e-12)
    model.zero_grad()
    weighted_sum(looked).backward()
    assert all([np.isfinite(cache.grad(name)).all() and cache.grad(name).shape == array.shape
                for name, array in cache.items()])
    assert all([cache.grad(name).any() for name in cache if name.endswith("attn.hook_z")])


def test_what_is_in_the_cache():
    model, inputs = small(mb.GPT2LMHeadModel), batch(mb.GPT2LMHeadModel)
    _, cache = model.run_with_cache(**inputs, names="*hook_z")
    assert ("z", 0) in cache and ("result", 0) in cache and "blocks.1.attn.hook_z" in cache
    assert ("z", 9) not in cache and "hook_embed" not in cache and 3 not in cache


@pytest.mark.parametrize("model_class", LM)
def test_outputs_in_float32(model_class):
    model, inputs = small(model_class).float(), batch(model_class)
    plain, (looked, _) = model(**inputs).logits.data, model.run_with_cache(**inputs)
    assert looked.logits.dtype == np.float32
    assert abs(looked.logits.data - plain).max() <= 1e-5 * max(1, abs(plain).max())


@pytest.mark.parametrize("model_class", LM)
def test_looking_leaves_no_trace_in_a_training(model_class):
    def trained(looking):
        model, rng = small(model_class, variant="dropout").float(), np.random.default_rng(3)
        optimizer = mb.optim.AdamW(model.parameters(), lr=0.01)
        inputs, losses = batch(model_class), []
        for _ in range(3):
            if looking:
                model.run_with_cache(**inputs, rng=np.random.default_rng(0))
                model.run_with_hooks(**inputs, rng=np.random.default_rng(0),
                                     hooks=[("*", lambda array, name: None)])
                mb.hook_names(model)
            model.zero_grad()
            loss = model(**inputs, labels=inputs["input_ids"], rng=rng).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, model.state_dict()

    (losses, state), (losses_looked, state_looked) = trained(False), trained(True)
    assert losses == losses_looked
    assert all([np.array_equal(state[name], state_looked[name]) for name in state])


# ---- TransformerLens -----------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", [mb.GPT2LMHeadModel, mb.BertForPreTraining])
def test_values_shapes_and_gradients_are_those_of_transformer_lens(model_class):
    model = model_class.from_pretrained(ROOT / "tests/models/reference" / model_class.__name__)
    stored = {name.partition("/")[2].replace("embed.hook", "hook"): array
              for name, array in STORED.items() if name.startswith(model_class.__name__)}
    inputs = {name.partition(".")[2]: stored.pop(name) for name in list(stored)
              if name.startswith("input.")}
    outputs, cache = model.run_with_cache(**inputs, grads=True)
    logits = outputs.prediction_logits if "attention_mask" in inputs else outputs.logits
    (logits * logits).sum().backward()
    np.testing.assert_array_equal(cache["logits"], logits.data)
    compared = 0
    for name, theirs in stored.items():
        if name in ("logits", "hook_full_embed") or name == "grad.hook_full_embed":
            continue
        gradient, name = name.startswith("grad."), name.removeprefix("grad.")
        if gradient and name.endswith(("hook_result", "hook_pos_embed")):
            continue  # computed when it is read; shared by the rows
        ours = cache.grad(name) if gradient else cache[name]
        assert ours.shape == theirs.shape or name == "hook_pos_embed"  # (1, T, C): all rows' own
        theirs = np.where(np.isinf(theirs), -1e30, theirs)  # masked scores: our LOWEST
        scale = max(1, abs(theirs[theirs > -1e29]).max())
        np.testing.assert_allclose(ours, theirs[:len(ours)], rtol=0, atol=1e-9 * scale)
        compared += 1
    np.testing.assert_allclose(cache["logits"], stored["logits"], rtol=0, atol=1e-9)
    assert compared > 75
    own = set(cache) - set(stored)
    assert all([name.endswith(("hook_qk", "hook_logits")) or name.startswith(("mlm_head", "pooler"))
                for name in own]), own


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class, variant", [
    *[(model_class, "plain") for model_class in [*CLASSES, mb.BertForMultipleChoice]],
    *[(model_class, "relu") for model_class in LM], (mb.BertForMaskedLM, "norm first")])
def test_the_table_holds_every_name_with_its_shape_and_its_line(model_class, variant):
    model = small(model_class, variant=variant)
    names = mb.hook_names(model)
    several = model_class is mb.BertForMultipleChoice
    inputs = batch(mb.BertModel if several else model_class, variant=variant)
    if several:
        inputs = {name: array[:, None] for name, array in inputs.items()}
    _, cache = model.run_with_cache(**inputs, rng=np.random.default_rng(0))
    assert [row.name for row in names if "hook_result" not in row.name] == list(cache)
    for row in names:
        array = cache[row.name]
        sizes = {"B": len(array), "T": T, "S": T}  # positions are shared by the rows
        assert array.shape == tuple([sizes.get(size, size) for size in row.shape]), row
        assert len(row.axes) == array.ndim
        file, line = row.source.split(":")
        text = (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        last = row.name.rpartition(".")[2].replace("hook_result", "hook_z").replace("cross_", "")
        assert f'"{last}", ' in text or f'.{last}", ' in text
    assert "hook_embed" in str(names).splitlines()[1].split()[0]


def test_names_of_one_block():
    names = [row.name.removeprefix("blocks.1.") for row in mb.hook_names(small(mb.GPT2LMHeadModel))
             if row.name.startswith("blocks.1.")]
    assert names == [
        "hook_resid_pre", "ln1.hook_scale", "ln1.hook_normalized", "attn.hook_q", "attn.hook_k",
        "attn.hook_qk", "attn.hook_attn_scores", "attn.hook_pattern", "attn.hook_v", "attn.hook_z",
        "attn.hook_result", "hook_attn_out", "hook_resid_mid", "ln2.hook_scale",
        "ln2.hook_normalized", "mlp.hook_pre", "mlp.hook_post", "hook_mlp_out", "hook_resid_post"]


def test_short_names_and_chosen_names():
    model, inputs = small(mb.BertForMaskedLM), batch(mb.BertForMaskedLM)
    _, cache = model.run_with_cache(**inputs)
    assert cache["pattern", 0] is not cache["blocks.0.attn.hook_pattern"]
    for short, name in [(("pattern", 0), "blocks.0.attn.hook_pattern"), (("z", -1), Z),
                        (("ln1.scale", 1), "blocks.1.ln1.hook_scale"), ("embed", "hook_embed"),
                        (("resid_post", np.int64(0)), "blocks.0.hook_resid_post"), (Z, Z)]:
        assert cache.name(short) == name
        np.testing.assert_array_equal(cache[short], cache[name])
    assert (cache["blocks.0.attn.hook_pattern"].sum(-1) - 1 < 1e-12).all()
    for names, kept in [(Z, [Z]), ("*.hook_z", ["blocks.0.attn.hook_z", Z]),
                        ([Z, "hook_embed"], ["hook_embed", Z]),
                        (lambda name: name.endswith("1.attn.hook_z"), [Z]),
                        ("blocks.1.attn.hook_result", [Z])]:
        assert list(model.run_with_cache(**inputs, names=names)[1]) == kept


def test_results_of_the_heads_add_up_to_attention():
    model = small(mb.GPT2LMHeadModel)
    _, cache = model.run_with_cache(**batch(mb.GPT2LMHeadModel))
    bias = model.transformer.stack.blocks[1].attention.output.bias.data
    assert cache["result", 1].shape == (B, T, 3, C)
    np.testing.assert_allclose(cache["result", 1].sum(2) + bias, cache["attn_out", 1], atol=1e-12)


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", LM)
def test_gradients_are_slopes(model_class):
    """The gradient at q (B, T, H, D) is the change of the loss when a hook moves one element."""
    model, inputs = small(model_class), batch(model_class)
    for name, index in [("blocks.0.attn.hook_q", (1, 2, 0, 3)), (Z, (0, 5, 2, 1)),
                        ("blocks.1.attn.hook_pattern", (2, 1, 3, 0)), ("hook_embed", (0, 1, 2))]:
        outputs, cache = model.run_with_cache(**inputs, grads=True)
        weighted_sum(outputs).backward()

        def moved(array, name, by):
            array = array.copy()
            array[index] += by
            return array

        ends = [weighted_sum(model.run_with_hooks(
            **inputs, hooks=[(name, lambda array, name: moved(array, name, by))])).item()
            for by in (1e-5, -1e-5)]
        slope = (ends[0] - ends[1]) / 2e-5
        assert abs(slope - cache.grad(name)[index]) <= 1e-6 * max(1, abs(slope))


def test_gradients_of_a_frozen_model_and_of_what_is_not_used():
    model, inputs = small(mb.BertForPreTraining), batch(mb.BertForPreTraining)
    model.freeze()
    outputs, cache = model.run_with_cache(**inputs, grads=True)
    with pytest.raises(InputError, match="no gradient: call run_with_cache"):
        cache.grad(("z", 0))
    outputs.seq_relationship_logits.sum().backward()
    assert np.abs(cache.grad(("z", 0))).max() > 0 and not cache.grad("mlm_head.hook_post").any()
    assert all([parameter.grad is None for parameter in model.parameters()])
    with mb.no_grad(), pytest.raises(InputError, match="grads=True within no_grad"):
        model.run_with_cache(**inputs, grads=True)


# ---- hooks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", LM)
def test_hooks_act_where_they_say(model_class):
    model, inputs = small(model_class), batch(model_class)
    _, cache = model.run_with_cache(**inputs)

    def cut(array, name):
        assert name == Z and not array.flags.writeable and array.shape == (B, T, 3, 4)
        array = array.copy()
        array[:, :, 2] = 0
        return array

    with mb.hooks(model, [(Z, cut)]):
        cut_outputs, cut_cache = model.run_with_cache(**inputs)
    outputs = model.run_with_hooks(**inputs, hooks=[(Z, cut)])
    np.testing.assert_array_equal(outputs.logits.data, cut_outputs.logits.data)
    assert not cut_cache[Z][:, :, 2].any()
    np.testing.assert_array_equal(cut_cache[Z][:, :, :2], cache[Z][:, :, :2])
    np.testing.assert_allclose(cut_cache["attn_out", 1],
                               cache["attn_out", 1] - cache["result", 1][:, :, 2], atol=1e-12)


@pytest.mark.parametrize("model_class", CLASSES)
def test_an_activation_put_in_its_own_place_changes_no_bit(model_class):
    model, inputs = small(model_class), batch(model_class)
    plain, _ = model.run_with_cache(**inputs)
    same = model.run_with_hooks(**inputs, hooks=[("*", lambda array, name: array)])
    for name, tensor in tensors_of(same).items():
        np.testing.assert_array_equal(tensor.data, tensors_of(plain)[name].data)


def test_hooks_leave_other_models_alone_and_end_with_their_block():
    model, other = small(mb.GPT2LMHeadModel), small(mb.GPT2LMHeadModel, seed=1)
    inputs = batch(mb.GPT2LMHeadModel)
    plain, plain_other = model(**inputs).logits.data, other(**inputs).logits.data
    with mb.hooks(model, [("hook_embed", lambda array, name: array * 0)]):
        np.testing.assert_allclose(other(**inputs).logits.data, plain_other, atol=1e-12)
        assert abs(model(**inputs).logits.data - plain).max() > 0.1
    np.testing.assert_array_equal(model(**inputs).logits.data, plain)


def test_hooks_while_a_text_is_generated():
    """With the cache of keys and values a pattern is (B, H, 1, S) from the second token on."""
    model, shapes = small(mb.GPT2LMHeadModel), []
    options = dict(max_new_tokens=3, eos_token_id=())
    ids = np.array([[1, 2, 3]])
    with mb.hooks(model, [("blocks.0.attn.hook_pattern",
                           lambda array, name: shapes.append(array.shape))]):
        watched = model.generate(ids, **options)
    np.testing.assert_array_equal(watched, model.generate(ids, **options))
    assert shapes == [(1, 3, 3, 3), (1, 3, 1, 4), (1, 3, 1, 5)]


def test_the_list_of_names_is_made_unseen():
    """The forward of one token that makes it reaches no hook and no trace from outside."""
    model, shapes = small(mb.BertForPreTraining), []
    with mb.trace() as seen, mb.hooks(model, [(Z, lambda array, name: shapes.append(array.shape))]):
        assert len(mb.hook_names(model)) == 53 and not shapes and not seen.records
        model.run_with_cache(**batch(mb.BertForPreTraining), names=Z)
    assert shapes == [(B, T, 3, 4)] and seen.records


# ---- mistakes ------------------------------------------------------------------------------------


def keep(array, name):
    return None


@pytest.mark.parametrize("names, message", [
    ("blocks.0.atn.hook_z", "nearest: blocks.0.attn.hook_z, blocks.1.attn.hook_z, blocks.0.attn"),
    ("pattern", "matches no activation"), ("blocks.7.*", "'blocks.7.\\*' matches no activation"),
    ([Z, "hook_nothing"], "'hook_nothing' matches no activation"),
    (lambda name: False, "the function chooses none"), ([], "an empty list chooses nothing")])
def test_names_that_match_nothing(names, message):
    model, inputs = small(mb.GPT2LMHeadModel), batch(mb.GPT2LMHeadModel)
    with pytest.raises(InputError, match=message):
        model.run_with_cache(**inputs, names=names)
    with pytest.raises(InputError, match=message):
        model.run_with_hooks(**inputs, hooks=[(names, keep)])


def test_mistakes_of_hooks():
    model, inputs = small(mb.BertForPreTraining), batch(mb.BertForPreTraining)

    def run(name, function):
        return model.run_with_hooks(**inputs, hooks=[(name, function)])

    with pytest.raises(InputError, match=r"returned float64 \(3, 7, 3\): expected None or an array "
                                         r"float64 \(3, 7, 3, 4\)"):
        run(Z, lambda array, name: array[..., 0])
    with pytest.raises(InputError, match=r"returned float32 \(3, 7, 3, 4\): expected"):
        run(Z, lambda array, name: array.astype(np.float32))
    with pytest.raises(InputError, match="returned float: expected"):
        run(Z, lambda array, name: 0.0)
    with pytest.raises(InputError, match="put the hook on hook_z or hook_attn_out"):
        run("*.hook_result", keep)
    with pytest.raises(InputError, match="is no function"):
        run(Z, None)
    with pytest.raises(ValueError, match="read-only"):
        run(Z, lambda array, name: array.fill(0))
    with pytest.raises(InputError, match="BertForPreTraining was not called"):
        with mb.hooks(model, [(Z, keep)]):
            small(mb.BertForPreTraining)(**inputs)
    with pytest.raises(InputError, match="hook on pooler.hook_out did not run"):
        with mb.hooks(model, [(Z, keep), ("pooler.hook_out", keep)]):
            model.mlm_head(model.bert.stack(mb.Tensor(np.ones((B, T, C)))))
            model.bert.pooler  # not called
            with model.scope():
                model.bert.stack(mb.Tensor(np.ones((B, T, C))))
    with pytest.raises(ZeroDivisionError):  # an error of the block itself is not covered up
        with mb.hooks(model, [(Z, keep)]):
            1 / 0


def test_mistakes_of_reading():
    model, inputs = small(mb.GPT2LMHeadModel), batch(mb.GPT2LMHeadModel)
    _, cache = model.run_with_cache(**inputs)
    for key, message in [("blocks.0.attn.hook_zz", "nearest: blocks.0.attn.hook_z"),
                         (("pattern", 2), "not in the cache"), (("scale", 0), "ln1.*or.*ln2"),
                         (("z", -3), "not in the cache"), (3, "expected a name, or"),
                         (("z", "0"), "expected a name, or")]:
        with pytest.raises(InputError, match=message):
            cache[key]
    with pytest.raises(InputError, match="is computed from hook_z"):
        cache.source(("result", 0))
    _, cache = model.run_with_cache(**inputs, names="hook_embed")
    with pytest.raises(InputError, match="not in the cache"):
        cache["result", 0]
    with pytest.raises(ValueError, match="read-only"):
        cache["embed"][0] = 0
