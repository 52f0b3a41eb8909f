"""micro.py equals the engine, op by op and model by model, and learns what it says it learns."""

import ast
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import minibert as mb
from minibert import micro

V, B, T, H, C, LAYERS = 17, 3, 11, 5, 20, 2  # heads of width 4
SOURCE = Path(micro.__file__)


def assert_equal(ours, theirs, tolerance=1e-12):
    """Equal up to `tolerance` times the largest value of the array."""
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max(initial=0) <= tolerance * np.abs(theirs).max(initial=0)


# ---- the ops, against differences of their values ------------------------------------------------

EVEN = np.array([2, 0, 2, 2])

OPS = {
    "add": (lambda a, b: a + b, (2, 1, 4), (3, 1)),
    "add a number": (lambda a: 2 + a, (2, 3)),
    "sub": (lambda a, b: a - b, (3, 4), (2, 1, 4)),
    "mul": (lambda a, b: a * b, (2, 3, 4), (1, 4)),
    "mul a scalar": (lambda a, b: a * b, (), (2, 3)),
    "mul a number": (lambda a: 3 * a * 0.5, (2, 3)),
    "div": (lambda a, b: a / b, (2, 3), (2, 1)),
    "pow": (lambda a: a ** 3 + a ** 0.5, (2, 3)),
    "matmul": (lambda a, b: a @ b, (2, 3), (3, 4)),
    "matmul of stacks": (lambda a, b: a @ b, (2, 1, 3, 4), (5, 4, 2)),
    "matmul with one matrix": (lambda a, b: a @ b, (2, 3, 4), (4, 5)),
    "exp": (lambda a: a.exp(), (2, 3)),
    "log": (lambda a: a.log(), (2, 3)),
    "tanh": (lambda a: a.tanh(), (2, 3)),
    "erf": (lambda a: a.erf(), (2, 3)),
    "sum": (lambda a: a.sum(), (2, 3)),
    "sum over an axis": (lambda a: a.sum(1), (2, 3, 4)),
    "mean": (lambda a: a.mean(-1), (2, 3, 4)),
    "reshape": (lambda a: a.reshape(4, 6), (2, 3, 4)),
    "transpose": (lambda a: a.transpose(1, 2, 0), (2, 3, 4)),
    "rows, some of them twice": (lambda a: a[EVEN], (3, 4)),
    "a slice": (lambda a: a[:, 1:], (2, 3, 4)),
    "places where a mask is true": (lambda a: a[np.eye(3, 4) > 0], (3, 4)),
    "softmax": (micro.softmax, (2, 3)),
    "a tensor used three times": (lambda a: a * a + a, (2, 3)),
}


def differences(f, arrays, k, upstream, h=1e-3):
    """d sum(upstream f) / d arrays[k] by the four-point formula, whose error is of order h^4."""
    slope = np.zeros_like(arrays[k])
    for index in np.ndindex(slope.shape):
        for step, weight in ((h, 8), (-h, -8), (2 * h, -1), (-2 * h, 1)):
            moved = [array.copy() for array in arrays]
            moved[k][index] += step
            slope[index] += weight * (f(*moved) * upstream).sum() / (12 * h)
    return slope


@pytest.mark.parametrize("op", OPS)
def test_gradient_of_every_op(op):
    f, *shapes = OPS[op]
    rng = np.random.default_rng(0)
    arrays = [np.array(0.5 + rng.random(shape)) for shape in shapes]  # log and powers exist there
    inputs = [micro.Tensor(array) for array in arrays]
    output = f(*inputs)
    upstream = rng.normal(size=output.shape)
    (output * upstream).sum().backward()
    for k, tensor in enumerate(inputs):
        expected = differences(lambda *moved: f(*map(micro.Tensor, moved)).data, arrays, k,
                               upstream)
        assert_equal(tensor.grad, expected, tolerance=1e-9)
        assert np.array_equal(tensor.data, arrays[k])


def test_gradients_add_up_over_every_path_and_every_backward():
    a = micro.Tensor(3.0)
    b = a + a
    (b * b + b).backward()
    assert a.grad == 2 * (2 * 6) + 2
    (a * 5).backward()
    assert a.grad == 26 + 5


def test_each_tensor_is_visited_once_and_no_walk_recurses():
    x = y = micro.Tensor(1.0)
    for _ in range(60):  # 2^60 paths
        y = y + y
    y.backward()
    assert x.grad == 2.0 ** 60
    x = y = micro.Tensor(1.0)
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad == 1


def test_two_gradients_never_share_memory():
    a, b = micro.Tensor(np.ones(3)), micro.Tensor(np.ones(3))
    (a + b).sum().backward()
    a.grad += 1
    assert b.grad.tolist() == [1, 1, 1]


# ---- the functions, against the engine's ---------------------------------------------------------

MASK = np.random.default_rng(3).random((2, 1, 5, 6)) < 0.6
MASK[..., 0] = True
LABELS = np.array([[3, -100, 0], [6, 2, -100]])

FUNCTIONS = {
    "softmax": (micro.softmax, lambda x: mb.functional.softmax(x, -1), (4, 6)),
    "linear": (micro.linear, mb.functional.linear, (2, 3, 4), (5, 4), (5,)),
    "layer_norm": (micro.layer_norm, lambda x, w, b: mb.functional.layer_norm(x, (6,), w, b),
                   (4, 5, 6), (6,), (6,)),
    "gelu": (lambda x: micro.gelu(x, "none"), mb.functional.gelu, (4, 6)),
    "gelu, tanh": (lambda x: micro.gelu(x, "tanh"),
                   lambda x: mb.functional.gelu(x, approximate="tanh"), (4, 6)),
    "attention": (lambda q, k, v: micro.attention(q, k, v, MASK),
                  lambda q, k, v: mb.functional.scaled_dot_product_attention(q, k, v, MASK),
                  (2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)),
    "cross_entropy": (lambda x: micro.cross_entropy(x, LABELS),
                      lambda x: mb.functional.cross_entropy(x.reshape(6, 7), LABELS.reshape(6)),
                      (2, 3, 7)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_the_engines(name):
    ours, theirs, *shapes = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    arrays = [2 * rng.normal(size=shape) for shape in shapes]
    our_inputs = [micro.Tensor(array) for array in arrays]
    their_inputs = [mb.Tensor(array, requires_grad=True) for array in arrays]
    our_output, their_output = ours(*our_inputs), theirs(*their_inputs)
    assert_equal(our_output.data, their_output.data)
    upstream = rng.normal(size=our_output.shape)
    (our_output * upstream).sum().backward()
    their_output.backward(upstream)
    for our_input, their_input in zip(our_inputs, their_inputs):
        assert_equal(our_input.grad, their_input.grad)


def test_large_numbers_do_not_overflow():
    x = np.array([[1e4, -1e4, 0.0]])
    assert micro.softmax(micro.Tensor(x)).data.tolist() == [[1, 0, 0]]
    losses = [micro.cross_entropy(micro.Tensor(x), np.array([label])).data for label in range(3)]
    assert losses == [0, 2e4, 1e4]


def test_no_label_costs_nothing():
    logits = micro.Tensor(np.ones((2, 3)))
    loss = micro.cross_entropy(logits, np.array([-100, -100]))
    loss.backward()
    assert loss.data == 0 and not logits.grad.any()


# ---- the models, against the engine's ------------------------------------------------------------

BLOCK = {"qkv": "attention.qkv", "attention_output": "attention.output",
         "attention_norm": "attention_norm", "expand": "feed_forward.expand",
         "contract": "feed_forward.output", "feed_forward_norm": "feed_forward_norm"}
GPT = {"words": "transformer.embeddings.word_embeddings.weight",
       "positions": "transformer.embeddings.position_embeddings.weight",
       "norm": "transformer.stack.final_norm"}
BERT = {"words": "bert.embeddings.word_embeddings.weight",
        "positions": "bert.embeddings.position_embeddings.weight",
        "segments": "bert.embeddings.token_type_embeddings.weight", "norm": "bert.embeddings.norm",
        "pooler": "bert.pooler.dense", "nsp": "nsp_head", "mlm_dense": "mlm_head.dense",
        "mlm_norm": "mlm_head.norm", "mlm_bias": "mlm_head.bias"}


def by_engine_name(weights, names, prefix=""):
    """{the engine's name of a parameter: micro's tensor} of one dict of weights."""
    named = {}
    for name, value in weights.items():
        if isinstance(value, micro.Tensor):
            named[names[name]] = value
        else:
            weight, bias = value
            named |= {f"{prefix}{names[name]}.weight": weight, f"{prefix}{names[name]}.bias": bias}
    return named


def with_the_weights_of(model, weights, names, blocks):
    """Copy the model's parameters into `weights`; {the model's names: micro's tensors}."""
    top = {name: value for name, value in weights.items() if name != "blocks"}
    named = by_engine_name(top, names)
    for i, w in enumerate(weights["blocks"]):
        named |= by_engine_name(w, BLOCK, f"{blocks}.{i}.")
    parameters = dict(model.named_parameters())
    assert named.keys() == parameters.keys()
    assert len(micro.parameters(weights)) == len(named)
    for name, tensor in named.items():
        assert tensor.shape == parameters[name].shape
        tensor.data = parameters[name].data.copy()
    return named


def randomized(model):
    """float64, every parameter N(0, 0.5^2), scales of norms N(1, 0.5^2)."""
    rng = np.random.default_rng(5)
    model.double()
    for name, parameter in model.named_parameters():
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        parameter.data = mean + 0.5 * rng.normal(size=parameter.shape)
    return model


def gpt_pair():
    config = mb.GPT2Config(vocab_size=V, n_positions=T + 2, n_embd=C, n_layer=LAYERS, n_head=H,
                           resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                           bos_token_id=1, eos_token_id=2, pad_token_id=0)
    model = randomized(mb.GPT2LMHeadModel(config))
    weights = micro.gpt_weights(np.random.default_rng(0), V, T + 2, C, LAYERS)
    return model, weights, with_the_weights_of(model, weights, GPT, "transformer.stack.blocks")


def bert_config(**changes):
    return mb.BertConfig(vocab_size=V, hidden_size=C, num_hidden_layers=LAYERS,
                         num_attention_heads=H, intermediate_size=4 * C,
                         max_position_embeddings=T + 2, hidden_dropout_prob=0.0,
                         attention_probs_dropout_prob=0.0, layer_norm_eps=1e-5, **changes)


def bert_pair():
    model = randomized(mb.BertForPreTraining(bert_config()))
    weights = micro.bert_weights(np.random.default_rng(0), V, T + 2, C, LAYERS)
    return model, weights, with_the_weights_of(model, weights, BERT, "bert.stack.blocks")


def gpt_batch():
    """ids (B, T), of which the second row ends in padding, and labels (B, T)."""
    ids = np.random.default_rng(7).integers(1, V, (B, T))
    ids[1, 6:] = micro.PAD
    return ids, np.where(ids == micro.PAD, micro.IGNORED, ids)


def bert_batch():
    """ids and segments (B, T) of pairs of several lengths, word labels (B, T), pair labels (B,)."""
    rng = np.random.default_rng(8)
    ids = np.zeros((B, T), int)
    segments = np.zeros((B, T), int)
    for row, (a, b) in enumerate([(5, 3), (1, 4), (3, 3)]):
        words = rng.integers(micro.MASK, V, a + b).tolist()
        text = [micro.CLS, *words[:a], micro.SEP, *words[a:], micro.SEP]
        ids[row, :len(text)] = text
        segments[row, a + 2:len(text)] = 1
    labelled = (rng.random((B, T)) < 0.4) & (ids != micro.PAD)
    labels = np.where(labelled, rng.integers(0, V, (B, T)), micro.IGNORED)
    return ids, segments, labels, np.array([1, 0, 1])


def our_gpt_losses(weights, rng=None):
    ids, labels = gpt_batch()
    return {"next token": micro.cross_entropy(micro.gpt(ids[:, :-1], weights, H), labels[:, 1:])}


def our_bert_losses(weights, rng=None):
    ids, _, labels, pair_labels = bert_batch()
    word_logits, pair_logits = micro.bert(ids, weights, H)
    return {"masked words": micro.cross_entropy(word_logits, labels),
            "next sentence": micro.cross_entropy(pair_logits, pair_labels)}


def their_gpt_loss(model):
    ids, labels = gpt_batch()
    return model(ids, attention_mask=ids != micro.PAD, labels=labels).loss


def their_bert_loss(model, masked_lm=True, next_sentence=True):
    ids, segments, labels, pair_labels = bert_batch()
    return model(ids, attention_mask=ids != micro.PAD, token_type_ids=segments,
                 labels=labels if masked_lm else None,
                 next_sentence_label=pair_labels if next_sentence else None).loss


def assert_same_gradients(model, named):
    """Every coordinate of every parameter; None of the engine's (no influence) is zero here."""
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            assert not named[name].grad.any()
        else:
            assert_equal(named[name].grad, parameter.grad)


def test_gpt_equals_the_engines():
    model, weights, named = gpt_pair()
    loss, theirs = our_gpt_losses(weights)["next token"], their_gpt_loss(model)
    assert_equal(loss.data, theirs.data)
    loss.backward()
    theirs.backward()
    assert_same_gradients(model, named)
    assert all(tensor.grad.any() for tensor in named.values())


@pytest.mark.parametrize("masked_lm, next_sentence", [(True, False), (False, True), (True, True)])
def test_bert_equals_the_engines(masked_lm, next_sentence):
    model, weights, named = bert_pair()
    terms = our_bert_losses(weights)
    loss = masked_lm * terms["masked words"] + next_sentence * terms["next sentence"]
    theirs = their_bert_loss(model, masked_lm, next_sentence)
    assert_equal(loss.data, theirs.data)
    loss.backward()
    theirs.backward()
    assert_same_gradients(model, named)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("approximate, activation", [("none", "gelu"), ("tanh", "gelu_new")])
def test_the_block_equals_the_engines(norm_first, approximate, activation):
    config = bert_config(hidden_act=activation, norm_first=norm_first)
    model = randomized(mb.BertModel(config))
    ids = bert_batch()[0]
    states = model(ids, attention_mask=ids != micro.PAD, output_hidden_states=True).hidden_states
    before, after = states[0], states[1]  # around the first of the two blocks
    before.retain_grad()
    upstream = np.random.default_rng(9).normal(size=after.shape)
    after.backward(upstream)

    w = micro.bert_weights(np.random.default_rng(0), V, T, C, 1)["blocks"][0]
    named = by_engine_name(w, BLOCK)
    parameters = dict(model.named_parameters())
    for name, tensor in named.items():
        tensor.data = parameters[f"stack.blocks.0.{name}"].data.copy()
    x = micro.Tensor(before.data)
    y = micro.block(x, w, micro.attention_mask(ids, causal=False), H, norm_first, approximate)
    assert_equal(y.data, after.data)
    (y * upstream).sum().backward()
    assert_equal(x.grad, before.grad)
    for name, tensor in named.items():
        assert_equal(tensor.grad, parameters[f"stack.blocks.0.{name}"].grad)


@pytest.mark.parametrize("pair, our_losses, their_loss",
                         [(gpt_pair, our_gpt_losses, their_gpt_loss),
                          (bert_pair, our_bert_losses, their_bert_loss)])
def test_five_training_steps_equal_the_engines(pair, our_losses, their_loss, capsys):
    model, weights, named = pair()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = mb.optim.AdamW([{"params": matrices, "weight_decay": 0.01},
                                {"params": vectors, "weight_decay": 0.0}], lr=3e-3)
    first = {name: tensor.data.copy() for name, tensor in named.items()}
    for _ in range(5):
        their_loss(model).backward()
        optimizer.step()
        optimizer.zero_grad()
    micro.train(weights, our_losses, 5, rng=None)
    for name, parameter in model.named_parameters():
        ours, theirs = named[name].data, parameter.data
        if name.endswith("qkv.bias"):  # its gradient is exactly 0 for keys: AdamW scales up noise
            keys = slice(C, 2 * C)
            assert np.abs(ours[keys] - theirs[keys]).max() < 1e-8
            ours, theirs = np.delete(ours, keys), np.delete(theirs, keys)
        assert_equal(ours, theirs)
        assert not np.array_equal(named[name].data, first[name])


# ---- what holds for every batch ------------------------------------------------------------------

def test_a_later_token_changes_nothing_before_it():
    _, weights, _ = gpt_pair()
    ids = np.random.default_rng(2).integers(1, V, (B, T))
    changed = ids.copy()
    changed[:, 6] = 1 + changed[:, 6] % (V - 1)
    before, after = micro.gpt(ids, weights, H).data, micro.gpt(changed, weights, H).data
    assert np.array_equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] != after[:, 6:]).any(axis=(1, 2)).all()


def test_more_padding_changes_nothing():
    _, weights, _ = bert_pair()
    ids = bert_batch()[0]
    words, pairs = micro.bert(ids, weights, H)
    padded = np.pad(ids, ((0, 0), (0, 2)), constant_values=micro.PAD)
    padded_words, padded_pairs = micro.bert(padded, weights, H)
    real = ids != micro.PAD
    assert_equal(padded_words.data[:, :T][real], words.data[real])
    assert_equal(padded_pairs.data, pairs.data)


def test_what_mask_tokens_chooses_and_shows():
    rng = np.random.default_rng(4)
    words = len(micro.VOCABULARY)
    ids = rng.integers(0, words, (20_000, 60))
    before = ids.copy()
    shown, labels = micro.mask_tokens(ids, np.random.default_rng(6))
    again = micro.mask_tokens(ids, np.random.default_rng(6))
    assert np.array_equal(ids, before)
    assert np.array_equal(shown, again[0]) and np.array_equal(labels, again[1])
    chosen = labels != micro.IGNORED
    ordinary = ids > micro.MASK
    assert not chosen[~ordinary].any(), "special tokens are never chosen"
    assert np.array_equal(shown[~chosen], ids[~chosen])
    assert np.array_equal(labels[chosen], ids[chosen])
    assert stats.binomtest(int(chosen.sum()), int(ordinary.sum()), 0.15).pvalue > 1e-3
    masked, same = chosen & (shown == micro.MASK), chosen & (shown == ids)
    replaced = chosen & ~masked & ~same
    n, k = chosen.sum(), words - 1 - micro.MASK  # k ordinary words: one in k random ones is right
    expected = n * np.array([0.8, 0.1 + 0.1 / k, 0.1 - 0.1 / k])
    assert stats.chisquare([masked.sum(), same.sum(), replaced.sum()], expected).pvalue > 1e-3
    replacements = np.bincount(shown[replaced], minlength=words)
    assert not replacements[:micro.MASK + 1].any()
    assert stats.chisquare(replacements[micro.MASK + 1:]).pvalue > 1e-3


def test_sentence_pairs_are_what_their_labels_say():
    stories = micro.STORIES * 40
    texts, labels = micro.sentence_pairs(stories, np.random.default_rng(0))
    follows = dict(micro.STORIES)
    for text, label, (a, b) in zip(texts, labels, stories, strict=True):
        first, second = re.fullmatch(r"\[CLS\] (.*) \[SEP\] (.*) \[SEP\]", text).groups()
        assert first == a and follows[a] == b
        assert (second != b) == label
        assert second in follows.values()
    assert stats.binomtest(int(labels.sum()), len(labels), 0.5).pvalue > 1e-3


def test_encode_pads_and_the_story_at_the_end_is_in_no_training():
    ids = micro.encode(["the cat", "[CLS] it eats . [SEP]"])
    assert [[micro.VOCABULARY[i] for i in row] for row in ids] == [
        ["the", "cat", "[PAD]", "[PAD]", "[PAD]"], ["[CLS]", "it", "eats", ".", "[SEP]"]]
    assert len(micro.STORIES) == 15
    assert not any("thirsty fox" in a for a, _ in micro.STORIES)


# ---- the program ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def printed():
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONIOENCODING="utf-8")
    result = subprocess.run([sys.executable, "-m", "minibert.micro"], env=environment, check=True,
                            cwd=SOURCE.parents[1], capture_output=True, text=True)
    assert result.stderr == ""
    return result.stdout


def losses(printed, name):
    return [float(loss) for loss in re.findall(rf"{name} (\d+\.\d+)", printed)]


@pytest.mark.slow
@pytest.mark.parametrize("name, blind", [("next token", math.log(len(micro.VOCABULARY))),
                                         ("masked words", math.log(len(micro.VOCABULARY))),
                                         ("next sentence", math.log(2))])
def test_losses_begin_at_ln_v_and_fall(printed, name, blind):
    first, *_, last = losses(printed, name)
    assert first == pytest.approx(blind, rel=0.1)
    assert last < 0.5 * blind


@pytest.mark.slow
def test_gpt_comes_close_to_the_least_possible_loss(printed):
    least = float(re.search(r"least possible loss is (\d\.\d+)", printed)[1])
    texts = [f"{a} {b} [SEP]".split() for a, b in micro.STORIES]
    predicted = sum(len(text) - 1 for text in texts)  # all but the first token
    assert least == pytest.approx(15 * math.log(15) / predicted, abs=1e-3)
    assert least - 0.001 < losses(printed, "next token")[-1] < 1.1 * least


@pytest.mark.slow
def test_generated_lines_are_stories(printed):
    lines = re.findall(r"^(the .*) \[SEP\]$", printed, re.MULTILINE)
    unseen = "the thirsty fox finds water . it drinks ."
    assert len(lines) == 2
    assert lines[0] in [f"{a} {b}" for a, b in micro.STORIES] + [unseen]
    assert lines[1] == unseen


@pytest.mark.slow
def test_the_gap_and_the_pairs_are_right(printed):
    word, p = re.search(r"P\(\[MASK\]\): (\w+) (\d\.\d+)", printed).groups()
    assert word == "water" and float(p) > 0.5
    judged = dict(re.findall(r"water \. \[SEP\] it (\w+) .*P\(B follows A\) = (\d\.\d+)", printed))
    assert float(judged["drinks"]) > 0.5 > float(judged["sleeps"])


def test_the_file_is_short_and_stands_alone():
    text = SOURCE.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    imports = [node for node in ast.walk(ast.parse(text))
               if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [alias.name for node in imports for alias in node.names] == ["math", "numpy"]
