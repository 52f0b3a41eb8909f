"""The logit lens ends in the model's logits; direct logit attribution adds up to them."""

import numpy as np
import pytest

import minibert as mb
from minibert.errors import InputError
from tests.models.small_models import V, batch, small

LM = [(mb.GPT2LMHeadModel, "plain"), (mb.GPT2LMHeadModel, "untied"), (mb.BertForMaskedLM, "plain"),
      (mb.BertForPreTraining, "norm first"), (mb.BertForMaskedLM, "norm first")]


def logits_of(outputs):
    return getattr(outputs, "prediction_logits", getattr(outputs, "logits", None)).data


@pytest.mark.parametrize("model_class, variant", LM)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_last_row_is_the_models_logits_to_the_bit(model_class, variant, dtype):
    model = small(model_class, variant=variant).astype(dtype)
    outputs, cache = model.run_with_cache(**batch(model_class))
    for row in (0, 2):
        lens = mb.logit_lens(model, cache, row)
        assert lens.shape == (5, 7, V) and lens.dtype == dtype
        np.testing.assert_array_equal(lens[-1], logits_of(outputs)[row])


@pytest.mark.parametrize("model_class", [mb.GPT2LMHeadModel, mb.BertForMaskedLM])
def test_a_row_is_what_the_model_says_where_the_later_branches_add_nothing(model_class):
    variant = "plain" if model_class is mb.GPT2LMHeadModel else "norm first"
    model, inputs = small(model_class, variant=variant), batch(model_class)
    _, cache = model.run_with_cache(**inputs)
    lens = mb.logit_lens(model, cache)
    branches = [f"blocks.{layer}.hook_{name}" for layer in (0, 1)
                for name in ("attn_out", "mlp_out")]
    for row in range(4):
        outputs = model.run_with_hooks(**inputs, hooks=[(branches[row:], lambda x, name: x * 0)])
        np.testing.assert_allclose(lens[row], logits_of(outputs)[0], atol=1e-12)


@pytest.mark.parametrize("variant", ["plain", "untied", "large eps"])
def test_attributions_add_up_to_the_logit(variant):
    model, inputs = small(mb.GPT2LMHeadModel, variant=variant), batch(mb.GPT2LMHeadModel)
    outputs, cache = model.run_with_cache(**inputs)
    for target in [(6, 3), (0, 16), (4, 2, 9)]:
        for row in (0, 1):
            parts = mb.direct_logit_attribution(model, cache, target, row)
            logits = outputs.logits.data[row, target[0]]
            value = logits[target[1]] - (logits[target[2]] if len(target) == 3 else 0)
            assert abs(sum(parts.values()) - value) < 1e-10
    assert list(parts) == ["embed", "pos_embed", "L0H0", "L0H1", "L0H2", "L0 bias", "L0 MLP",
                           "L1H0", "L1H1", "L1H2", "L1 bias", "L1 MLP", "ln_final bias"]


def test_an_attribution_is_the_change_with_the_scale_frozen():
    """The definition: the logit with the head's result, less the logit without it, where the last
    norm divides by what it divided by before."""
    model, inputs = small(mb.GPT2LMHeadModel), batch(mb.GPT2LMHeadModel)
    outputs, cache = model.run_with_cache(**inputs)
    parts = mb.direct_logit_attribution(model, cache, (5, 3))

    def without(array, name):
        return array - cache["result", 1][:, :, 2] if name.endswith("post") \
            else cache["ln_final.hook_scale"].copy()

    cut = model.run_with_hooks(**inputs, hooks=[
        (["blocks.1.hook_resid_post", "ln_final.hook_scale"], without)])
    change = outputs.logits.data[0, 5, 3] - cut.logits.data[0, 5, 3]
    assert abs(parts["L1H2"] - change) < 1e-10


def test_models_without_such_a_head():
    model = small(mb.BertForSequenceClassification)
    _, cache = model.run_with_cache(**batch(mb.BertModel))
    with pytest.raises(InputError, match="BertForSequenceClassification has no head that gives"):
        mb.logit_lens(model, cache)
    with pytest.raises(InputError, match="no sum of what the layers add"):
        mb.direct_logit_attribution(model, cache, (0, 0))
    model = small(mb.GPT2LMHeadModel)
    _, cache = model.run_with_cache(**batch(mb.GPT2LMHeadModel), names="hook_embed")
    with pytest.raises(InputError, match="resid_pre"):
        mb.logit_lens(model, cache)
