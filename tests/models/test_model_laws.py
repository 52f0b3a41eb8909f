"""The laws of every model in every variant, whatever its weights: causality, padding, permutation,
implementations; and dropout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.small_models import (BERT_CLASSES, CLASSES, GPT2_CLASSES, PAD, B, C, T, V,
                                       assert_equal_gradients, batch, dropout, each_variant,
                                       gradients, per_token, small, tensors_of, weighted_sum)

import minibert as mb

SEEDS = st.integers(0, 2**32 - 1)
CAUSAL = GPT2_CLASSES[:2]  # the third gives one answer for all tokens: see test_task_heads.py
few = settings(max_examples=3)  # for each of the variants


@each_variant(CAUSAL)
@few
@given(seed=SEEDS, place=st.integers(1, T - 1), dtype=st.sampled_from([np.float64, np.float32]))
def test_a_later_token_never_changes_an_earlier_output(model_class, variant, seed, place, dtype):
    model = small(model_class, seed, variant).astype(dtype)
    ids = batch(model_class, seed)["input_ids"]
    changed = ids.copy()
    changed[:, place:] = (changed[:, place:] + 1) % PAD
    before, after = [model(rows, output_hidden_states=True, rng=np.random.default_rng(seed))
                     for rows in (ids, changed)]
    for name, tensor in tensors_of(before).items():
        other = tensors_of(after)[name].data
        np.testing.assert_array_equal(tensor.data[:, :place], other[:, :place], err_msg=name)
        assert (tensor.data[:, place] != other[:, place]).any(), name


@each_variant(CAUSAL)
@few
@given(seed=SEEDS, place=st.integers(0, T - 1))
def test_an_output_has_gradient_exactly_zero_at_later_tokens(model_class, variant, seed, place):
    model = small(model_class, seed, variant)
    rng = np.random.default_rng(seed)
    x = mb.Tensor(rng.normal(size=(B, T, C)), requires_grad=True)
    output = model(inputs_embeds=x, rng=rng)
    rows = output.logits if model_class is mb.GPT2LMHeadModel else output.last_hidden_state
    (rows[:, place] * rng.normal(size=rows.shape[2])).sum().backward()
    assert (x.grad[:, place + 1:] == 0).all()
    dropped = (x.grad[:, :place + 1] == 0).mean()
    assert dropped < 0.7 if "dropout" in variant else dropped == 0


def test_bert_sees_both_sides():
    model = small(mb.BertModel)
    x = mb.Tensor(np.random.default_rng(0).normal(size=(B, T, C)), requires_grad=True)
    (model(inputs_embeds=x).last_hidden_state[:, 2] * np.arange(C)).sum().backward()
    assert (x.grad != 0).all()


@each_variant(BERT_CLASSES + CAUSAL)
@few
@given(seed=SEEDS, padding=st.integers(1, 2), square=st.booleans(), left=st.booleans())
def test_padding_never_changes_a_real_token(model_class, variant, seed, padding, square, left):
    # square: as many rows as tokens, so that a mask laid over the wrong axis would fit
    model = small(model_class, seed, variant).eval()
    tokens, rng = T - padding, np.random.default_rng(seed)
    inputs = batch(model_class, seed, T if square else B, tokens, variant)
    rows = len(inputs["input_ids"])
    real = slice(padding, None) if left else slice(tokens)
    padded = {name: rng.integers(0, ids.max() + 1, (rows, T)) for name, ids in inputs.items()}
    padded["attention_mask"] = np.zeros((rows, T), int)
    padded["position_ids"] = np.zeros((rows, T), int)
    for name, array in (inputs | {"attention_mask": 1, "position_ids": np.arange(tokens)}).items():
        padded[name][:, real] = array
    short = tensors_of(model(**inputs, output_hidden_states=True))
    long = tensors_of(model(**padded, output_hidden_states=True))
    # what stands in the padding does not matter to the bit
    at_padding = padded["attention_mask"] == 0
    padded["input_ids"][at_padding] = (padded["input_ids"][at_padding] + 3) % V
    other = tensors_of(model(**padded, output_hidden_states=True))
    compared = 0
    for name, tensor in short.items():
        if not per_token(name, tensor) and left:
            continue  # of the first token, which is padding now
        ours, others = [found[name].data[:, real] if per_token(name, tensor) else found[name].data
                        for found in (long, other)]
        np.testing.assert_allclose(ours, tensor.data, rtol=0, atol=1e-11, err_msg=name)
        np.testing.assert_array_equal(ours, others, err_msg=name)
        compared += 1
    assert compared >= 2  # the states at least


@each_variant(BERT_CLASSES)
def test_rows_may_be_padded_differently(model_class, variant):
    model, inputs = small(model_class, 0, variant).eval(), batch(model_class, variant=variant)
    mask = np.arange(T) < np.array([[T], [3], [5]])
    together = tensors_of(model(**inputs, attention_mask=mask.astype(int)))
    for row, length in enumerate([T, 3, 5]):
        one = {name: ids[row:row + 1, :length] for name, ids in inputs.items()}
        alone = tensors_of(model(**one))
        for name, tensor in alone.items():
            ours = together[name].data[row]
            ours = ours[:length] if per_token(name, tensor) else ours
            np.testing.assert_allclose(ours, tensor.data[0], rtol=0, atol=1e-11, err_msg=name)


@each_variant(CLASSES)
@few
@given(seed=SEEDS)
def test_permuting_the_batch_permutes_the_output(model_class, variant, seed):
    model = small(model_class, seed, variant).eval()
    inputs = batch(model_class, seed, variant=variant)
    inputs["attention_mask"] = (np.arange(T) < np.array([[T], [3], [5]])).astype(int)
    order = np.random.default_rng(seed).permutation(B)
    straight = tensors_of(model(**inputs))
    permuted = tensors_of(model(**{name: array[order] for name, array in inputs.items()}))
    for name, tensor in straight.items():
        np.testing.assert_allclose(permuted[name].data, tensor.data[order], rtol=0, atol=1e-12)


@given(seed=SEEDS)
def test_without_positions_permuting_the_tokens_permutes_the_output(seed):
    model, inputs = small(mb.BertModel, seed), batch(mb.BertModel, seed)
    order = np.roll(np.arange(T), 1 + seed % (T - 1))

    def outputs(places=slice(None)):
        return model(**{name: ids[:, places] for name, ids in inputs.items()}).last_hidden_state

    assert abs(outputs(order).data - outputs().data[:, order]).max() > 1e-3
    positions = model.embeddings.position_embeddings.weight
    positions.data = np.zeros(positions.shape)
    np.testing.assert_allclose(outputs(order).data, outputs().data[:, order], rtol=0, atol=1e-12)


@each_variant(CLASSES)
@few
@given(seed=SEEDS)
def test_the_fused_model_equals_the_reference(model_class, variant, seed):
    model = small(model_class, seed, variant)
    inputs = batch(model_class, seed, variant=variant)
    inputs["attention_mask"] = (np.arange(T) < np.array([[T], [3], [5]])).astype(int)

    def run():
        output = model(**inputs, output_hidden_states=True, rng=np.random.default_rng(seed))
        return tensors_of(output), gradients(model, weighted_sum(output))

    fused, fused_gradients = run()
    with mb.reference():
        plain, plain_gradients = run()
    for name, tensor in fused.items():
        np.testing.assert_allclose(tensor.data, plain[name].data, rtol=0, atol=1e-11, err_msg=name)
    assert_equal_gradients(fused_gradients, plain_gradients, 1e-11)


@pytest.mark.parametrize("model_class", CLASSES)
def test_dropout_is_on_in_training_only_and_follows_the_generator(model_class):
    model, inputs = small(model_class, **dropout(model_class, 0.2)), batch(model_class)

    def run(seed):
        output = model(**inputs, rng=np.random.default_rng(seed))
        return next(iter(tensors_of(output).values())).data

    np.testing.assert_array_equal(run(0), run(0))
    assert (run(0) != run(1)).any()
    with pytest.raises(ValueError, match="rng"):
        model(**inputs)
    model.eval()
    np.testing.assert_array_equal(run(0), run(1))
    plain = small(model_class)
    np.testing.assert_array_equal(run(0), next(iter(tensors_of(plain(**inputs)).values())).data)


DROPOUTS = [(cls, name) for cls in BERT_CLASSES
            for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")]
DROPOUTS += [(cls, name) for cls in GPT2_CLASSES
             for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")]


@pytest.mark.parametrize("model_class, name", DROPOUTS)
def test_every_dropout_of_the_config_arrives_where_it_belongs(model_class, name):
    model, inputs = small(model_class, **{name: 0.5}), batch(model_class)
    with mb.trace() as seen:
        noisy = tensors_of(model(**inputs, rng=np.random.default_rng(0)))
    dropped = [record.module for record in seen.records if record.op == "dropout"]
    bare = "" if model_class in (mb.BertModel, mb.GPT2Model) else \
        "bert." if model_class in BERT_CLASSES else "transformer."
    blocks = [f"{bare}stack.blocks.{i}.{name}" for i in (0, 1)
              for name in ("attention_dropout", "dropout")]
    head = ["dropout"] if hasattr(model, "dropout") and model.dropout.p else []  # of a classifier
    assert dropped == {"hidden_dropout_prob": [f"{bare}embeddings.dropout", *blocks, *head],
                       "resid_pdrop": blocks,
                       "embd_pdrop": [f"{bare}embeddings.dropout"]}.get(name, [])  # or in attention
    quiet = tensors_of(model.eval()(**inputs))
    assert all((quiet[key].data != noisy[key].data).any() for key in quiet)


@pytest.mark.parametrize("model_class", CLASSES)
def test_embeddings_may_be_given_for_the_ids(model_class):
    model, inputs = small(model_class), batch(model_class)
    expected = tensors_of(model(**inputs))
    words = next(parameter for name, parameter in model.named_parameters()
                 if name.endswith("word_embeddings.weight"))
    ids = inputs.pop("input_ids")
    for given_embeddings in (words.data[ids], mb.Tensor(words.data[ids])):
        for name, tensor in tensors_of(model(**inputs, inputs_embeds=given_embeddings)).items():
            np.testing.assert_array_equal(tensor.data, expected[name].data)


@pytest.mark.parametrize("model_class", CLASSES)
def test_positions_are_counted_from_the_first_unless_given(model_class):
    model, inputs = small(model_class), batch(model_class)
    expected = tensors_of(model(**inputs))
    row = np.arange(T) + model.config.first_position
    rows = np.broadcast_to(row, (B, T))
    for places in (row, rows[:1], rows):
        for name, tensor in tensors_of(model(**inputs, position_ids=places)).items():
            np.testing.assert_allclose(tensor.data, expected[name].data, rtol=0, atol=1e-12)
    moved = tensors_of(model(**inputs, position_ids=rows + 1))
    assert all((moved[name].data != expected[name].data).any() for name in expected)


@pytest.mark.parametrize("model_class", BERT_CLASSES)
def test_all_is_one_segment_unless_told(model_class):
    model, ids = small(model_class), batch(model_class)["input_ids"]
    told = tensors_of(model(ids, token_type_ids=np.zeros_like(ids)))
    for name, tensor in tensors_of(model(ids)).items():
        np.testing.assert_array_equal(tensor.data, told[name].data, err_msg=name)


@pytest.mark.parametrize("model_class", BERT_CLASSES + GPT2_CLASSES)
def test_hidden_states_and_attentions_only_on_request(model_class):
    model, inputs = small(model_class), batch(model_class)
    output = model(**inputs)
    assert output.hidden_states is None and output.attentions is None
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    assert len(output.hidden_states) == 3 and len(output.attentions) == 2
    np.testing.assert_allclose(output.attentions[0].data.sum(-1), 1.0)
    assert output.attentions[0].shape == (B, 3, T, T)


@pytest.mark.parametrize("model_class", [mb.GPT2LMHeadModel, mb.BartForConditionalGeneration])
def test_logits_of_the_last_tokens_alone(model_class):
    model, ids = small(model_class), batch(model_class)["input_ids"]
    whole = model(ids).logits.data
    for k in (1, T - 1):
        np.testing.assert_allclose(model(ids, logits_to_keep=k).logits.data, whole[:, -k:],
                                   rtol=0, atol=1e-12)
