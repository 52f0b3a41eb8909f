"""Laws of interventions: each is compared with the same change made by hand."""

import numpy as np
import pytest

import minibert as mb
from minibert.errors import InputError
from minibert.look import causes
from minibert.look.causes import (ablate_branches, mean_of_heads, replace_words, target_value,
                                  target_values)
from tests.models.small_models import T, V, batch, gradients, small

LM = [mb.GPT2LMHeadModel, mb.BertForMaskedLM]
TARGET = (5, 3)


def text(model_class, seed=0):
    inputs = batch(model_class, seed=seed, rows=1)
    return inputs.pop("input_ids"), inputs


def value(model, ids, inputs, hooks=()):
    outputs = model.run_with_hooks(ids, **inputs, hooks=list(hooks))
    return outputs.logits.data[0, TARGET[0], TARGET[1]]


# ---- heads and branches --------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", LM)
def test_a_head_is_cut_before_the_output_matrix(model_class):
    model, (ids, inputs) = small(model_class), text(model_class)
    plain, cache = model.run_with_cache(ids, **inputs)
    changes = mb.ablate(model, ids, target=TARGET, **inputs)
    assert changes.shape == (2, 3)
    for layer in (0, 1):
        for head in range(3):
            def without(array, name):
                return array - cache["result", layer][:, :, head]

            expected = value(model, ids, inputs, [(f"blocks.{layer}.hook_attn_out", without)])
            assert abs(changes[layer, head] + value(model, ids, inputs) - expected) < 1e-11
    assert (abs(changes) > 1e-3).all()
    pair = mb.ablate(model, ids, [[(0, 1), (1, 2)], (0, 1)], target=TARGET, **inputs)
    assert pair[1] == pytest.approx(changes[0, 1], abs=1e-12) and abs(pair[0] - pair[1]) > 1e-3


@pytest.mark.parametrize("model_class", LM)
def test_without_all_heads_of_a_layer_its_bias_alone_is_added(model_class):
    model, (ids, inputs) = small(model_class), text(model_class)
    cut = mb.ablate(model, ids, [[(1, 0), (1, 1), (1, 2)]], target=TARGET, **inputs)[0]
    stack = model.bert.stack if model_class is mb.BertForMaskedLM else model.transformer.stack
    bias = stack.blocks[1].attention.output.bias.data
    expected = value(model, ids, inputs, [("blocks.1.hook_attn_out",
                                           lambda array, name: np.zeros_like(array) + bias)])
    assert abs(cut + value(model, ids, inputs) - expected) < 1e-12
    branches = ablate_branches(model, ids, target=TARGET, **inputs)
    none = value(model, ids, inputs, [("blocks.1.hook_attn_out", lambda array, name: array * 0)])
    assert abs(branches[1, 0] + value(model, ids, inputs) - none) < 1e-12
    assert branches.shape == (2, 2) and abs(none - expected) > 1e-3


def test_a_head_replaced_by_a_mean():
    model, (ids, inputs) = small(mb.BertForMaskedLM), text(mb.BertForMaskedLM)
    _, cache = model.run_with_cache(ids, **inputs)
    of_text = mb.ablate(model, ids, [(1, 2)], "mean", target=TARGET, **inputs)
    means = mean_of_heads(model, ids, **inputs)
    np.testing.assert_allclose(means[1, 2], cache["z", 1][0, :, 2].mean(0))
    assert of_text == mb.ablate(model, ids, [(1, 2)], means, target=TARGET, **inputs)

    def mean(array, name):
        array = array.copy()
        array[:, :, 2] = array[:, :, 2].mean(1, keepdims=True)
        return array

    expected = value(model, ids, inputs, [("blocks.1.attn.hook_z", mean)])
    assert abs(of_text[0] + value(model, ids, inputs) - expected) < 1e-12
    padded = dict(batch(mb.BertForMaskedLM), attention_mask=[[1] * T, [1] * 4 + [0] * 3, [1] * T])
    _, cache = model.run_with_cache(**padded)
    real = np.concatenate([cache["z", 0][0], cache["z", 0][1, :4], cache["z", 0][2]])
    np.testing.assert_allclose(mean_of_heads(model, padded.pop("input_ids"), **padded)[0],
                               real.mean(0))


# ---- patching ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", LM)
def test_a_text_patched_with_itself_changes_no_bit(model_class):
    model, (ids, inputs) = small(model_class).float(), text(model_class)
    sites = ("resid_pre", "attn_out", "mlp_out", "z", "attn.q", "mlp.post")
    values = mb.patch(model, ids, ids, sites, target=TARGET, **inputs)
    assert values.shape == (6, 2, T) and len(np.unique(values)) == 1


@pytest.mark.parametrize("model_class", LM)
def test_patching_everything_gives_the_other_text(model_class):
    model, (ids, inputs), (other, _) = small(model_class), text(model_class), text(model_class, 1)
    whole = mb.patch(model, ids, other, ["resid_pre"], target=TARGET, positions=[range(T)],
                     **inputs)
    b = target_value(model, other, TARGET, **inputs)
    assert abs(whole[0, :, 0] - b).max() < 1e-11
    assert abs(b - target_value(model, ids, TARGET, **inputs)) > 0.01


@pytest.mark.parametrize("model_class", LM)
def test_one_patch_is_one_site_layer_and_position(model_class):
    model, (ids, inputs), (other, _) = small(model_class), text(model_class), text(model_class, 1)
    values = mb.patch(model, ids, other, target=TARGET, **inputs)
    _, cache = model.run_with_cache(other, **inputs)
    for (i, site), layer, position in [((0, "resid_pre"), 1, 2), ((1, "attn_out"), 0, 5),
                                       ((2, "mlp_out"), 1, 4)]:
        def put(array, name):
            array = array.copy()
            array[:, position] = cache[name][:, position]
            return array

        expected = value(model, ids, inputs, [(f"blocks.{layer}.hook_{site}", put)])
        assert abs(values[i, layer, position] - expected) < 1e-11
    if model_class is mb.GPT2LMHeadModel:  # what stands after the target cannot matter
        np.testing.assert_array_equal(values[..., 6], np.full((3, 2), values[0, 0, 6]))


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", LM)
def test_influence_is_exactly_zero_where_nothing_is_read(model_class):
    model, (ids, inputs) = small(model_class), text(model_class)
    result = mb.influence(model, ids, **inputs)
    future = np.triu(np.ones((T, T), bool), 1)
    assert result.shape == (T, T) and (result[~future] > 0).all()
    assert (result[future] == 0.0).all() == (model_class is mb.GPT2LMHeadModel)
    outputs, cache = model.run_with_cache(ids, **inputs, grads=True)
    outputs.logits[0, 4, int(outputs.logits.data[0, 4].argmax())].backward()
    np.testing.assert_allclose(result[4], np.linalg.norm(cache.grad("embed")[0], axis=-1),
                               rtol=1e-9)


@pytest.mark.parametrize("model_class", LM)
def test_integrated_gradients_are_complete(model_class):
    model, (ids, inputs) = small(model_class), text(model_class)
    for baseline, steps, most in [(None, 64, 0.01), (7, 256, 1e-4)]:  # the way to a word is rougher
        tokens, gap = mb.integrated_gradients(model, ids, target=(5, 3, 8), baseline=baseline,
                                              steps=steps, **inputs)
        assert tokens.shape == (T,) and gap < most
        table = model.state_dict()[[name for name in model.state_dict()
                                    if name.endswith("word_embeddings.weight")][0]]
        b = table.mean(0) if baseline is None else table[7]
        outputs = [model.run_with_hooks(ids, **inputs, hooks=[
            ("hook_embed", lambda array, name: array if keep else np.zeros_like(array) + b)])
            for keep in (True, False)]
        ends = [target_values(output, (5, 3, 8)).item() for output in outputs]
        assert abs(tokens.sum() - (ends[0] - ends[1])) < 0.01 * abs(ends[0] - ends[1])
    if model_class is mb.GPT2LMHeadModel:
        assert tokens[6] == 0.0


@pytest.mark.parametrize("model_class", LM)
def test_gradients_by_words_leave_the_parameters_gradients_alone(model_class):
    model, (ids, inputs) = small(model_class), text(model_class)
    mb.integrated_gradients(model, ids, target=TARGET, steps=2, **inputs)
    mb.influence(model, ids, **inputs)
    assert all([parameter.grad is None for parameter in model.parameters()])
    outputs = model(ids, **inputs)
    before = gradients(model, outputs.logits[0, 5, 3])
    mb.integrated_gradients(model, ids, target=TARGET, steps=2, **inputs)
    after = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all([np.array_equal(before[name], after[name]) for name in after
                if after[name] is not None])


def test_a_replaced_word_is_the_text_with_the_other_word():
    model, (ids, inputs) = small(mb.BertForMaskedLM), text(mb.BertForMaskedLM)
    changes = replace_words(model, ids, target=TARGET, baseline=9, **inputs)
    for position in range(T):
        other = ids.copy()
        other[0, position] = 9
        expected = value(model, other, inputs) - value(model, ids, inputs)
        assert abs(changes[position] - expected) < 1e-11
    assert replace_words(model, ids, target=TARGET, **inputs).shape == (T,)


def test_several_batches_equal_one(monkeypatch):
    model, (ids, inputs) = small(mb.BertForMaskedLM), text(mb.BertForMaskedLM)

    def results():
        return [mb.patch(model, ids, text(mb.BertForMaskedLM, 1)[0], target=TARGET, **inputs),
                mb.ablate(model, ids, target=TARGET, **inputs),
                mb.integrated_gradients(model, ids, target=TARGET, **inputs).tokens]

    at_once = results()
    monkeypatch.setattr(causes, "TOKENS_AT_ONCE", 11 * T)  # 42, 7 and 64 rows
    for one, other in zip(results(), at_once):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


# ---- targets and mistakes ------------------------------------------------------------------------


@pytest.mark.parametrize("model_class, target", [
    (mb.BertForSequenceClassification, (1,)), (mb.BertForSequenceClassification, (1, 0)),
    (mb.GPT2ForSequenceClassification, (0, 1)), (mb.BertForTokenClassification, (2, 1, 0)),
    (mb.BertForPreTraining, (2, 16)), (mb.BertForQuestionAnswering, (4,))])
def test_targets_of_every_head(model_class, target):
    model, (ids, inputs) = small(model_class), text(model_class)
    outputs = model(ids, **inputs)
    logits = next(getattr(outputs, name) for name in ("logits", "prediction_logits", "start_logits")
                  if hasattr(outputs, name)).data[0]
    *place, last = target if logits.ndim + 1 > len(target) else target[:-1]
    expected = logits[(*place, last)] - (logits[(*place, target[-1])]
                                         if len(target) > logits.ndim else 0)
    assert target_value(model, ids, target, **inputs) == pytest.approx(expected, abs=1e-12)
    assert mb.ablate(model, ids[0], target=target, **inputs).shape == (2, 3)


def test_mistakes():
    model, (ids, _) = small(mb.GPT2LMHeadModel), text(mb.GPT2LMHeadModel)
    for wrong, message in [
            (lambda: mb.patch(model, ids, ids[:, :5], target=TARGET), "have 7 and 5 tokens"),
            (lambda: mb.patch(model, ids, ids, ["pattern"], target=TARGET), "axes BHTS: expected"),
            (lambda: mb.patch(model, ids, ids, ["nothing"], target=TARGET), "not in the cache"),
            (lambda: mb.patch(model, ids, ids, target=TARGET, positions=[[7]]), "position = 7"),
            (lambda: mb.patch(model, ids, ids + V, target=TARGET), "out of range"),
            (lambda: mb.ablate(model, np.zeros((1, 10), int), target=TARGET), "10 tokens are more"),
            (lambda: mb.ablate(model, np.zeros((2, 5), int), target=TARGET), "expected one text"),
            (lambda: mb.ablate(model, ids, [(2, 0)], target=TARGET), "layer = 2"),
            (lambda: mb.ablate(model, ids, [(0, 3)], target=TARGET), "head = 3"),
            (lambda: mb.ablate(model, ids, "some", target=TARGET), "heads = 'some'"),
            (lambda: mb.ablate(model, ids, how="median", target=TARGET), "how = 'median'"),
            (lambda: mb.ablate(model, ids, how=np.ones(3), target=TARGET), r"= \(2, 3, 4\)"),
            (lambda: mb.ablate(model, ids, target=(7, 0)), "target: position = 7"),
            (lambda: mb.ablate(model, ids, target=(0, V)), "target: id = 17"),
            (lambda: mb.ablate(model, ids, target=(0, 1, V)), "target: instead = 17"),
            (lambda: mb.ablate(model, ids, target=(0,)), r"expected \(position, id\) or"),
            (lambda: replace_words(model, ids, target=TARGET, baseline=V), "baseline = 17"),
            (lambda: mb.integrated_gradients(model, ids, target=TARGET, steps=0), "steps = 0"),
            (lambda: mb.influence(small(mb.GPT2ForSequenceClassification), ids), "no logits"),
            (lambda: mb.ablate(small(mb.GPT2Model), ids, target=TARGET), "has no logits")]:
        with pytest.raises(InputError, match=message):
            wrong()
