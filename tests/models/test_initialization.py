"""The first weights, in numbers: what BERT's and GPT-2's authors drew."""

import numpy as np
import pytest
from tests.models.small_models import CLASSES, CONFIGS, bart_config, bert_config, gpt2_config

import minibert as mb
from minibert.errors import InputError


def by_name(model):
    return {name: parameter.data for name, parameter in model.named_parameters()}


def test_bert_draws_a_normal_cut_off_at_two_deviations():
    model = mb.BertForPreTraining(bert_config(vocab_size=1000, hidden_size=120,
                                              initializer_range=0.05))
    for name, array in by_name(model).items():
        if array.ndim == 2 and array.size > 10_000:
            assert 0.099 < abs(array).max() <= 0.1, name
            # the standard deviation of a normal cut off at two
            np.testing.assert_allclose(array.std(), 0.05 * 0.8796, rtol=0.02, err_msg=name)
            assert abs(array.mean()) < 4 * 0.05 / array.size**0.5, name


def test_gpt2_draws_a_normal_and_scales_what_enters_the_stream():
    model = mb.GPT2LMHeadModel(gpt2_config(vocab_size=1000, n_embd=120, n_layer=8, n_inner=None))
    for name, array in by_name(model).items():
        if array.ndim == 2 and array.size > 10_000:
            scaled = name.endswith(("attention.output.weight", "feed_forward.output.weight"))
            expected = 0.02 / 4 if scaled else 0.02  # 8 layers of two branches
            np.testing.assert_allclose(array.std(), expected, rtol=0.02, err_msg=name)
            assert abs(array).max() > 3 * expected


def test_bart_draws_a_normal_as_wide_as_its_config_says():
    model = mb.BartForConditionalGeneration(bart_config(vocab_size=1000, d_model=120,
                                                        init_std=0.05))
    for name, array in by_name(model).items():
        if array.ndim == 2 and array.size > 10_000:
            np.testing.assert_allclose(array.std(), 0.05, rtol=0.02, err_msg=name)
            assert abs(array).max() > 3 * 0.05


def test_positions_may_have_a_range_of_their_own(tmp_path):
    sizes = dict(hidden_size=120, max_position_embeddings=300, initializer_range=0.1)
    alike = mb.BertModel(bert_config(**sizes)).embeddings
    small = mb.BertModel(bert_config(**sizes, position_initializer_range=0.02)).embeddings
    np.testing.assert_allclose(small.position_embeddings.weight.data,
                               alike.position_embeddings.weight.data / 5, rtol=1e-6)
    np.testing.assert_array_equal(small.word_embeddings.weight.data,
                                  alike.word_embeddings.weight.data)
    sizes = dict(d_model=120, max_position_embeddings=300, init_std=0.1)
    alike, small = [by_name(mb.BartModel(bart_config(**sizes, **own)))
                    for own in ({}, {"position_initializer_range": 0.02})]
    for name, array in alike.items():
        narrower = 5 if "position_embeddings" in name else 1
        np.testing.assert_allclose(small[name], array / narrower, rtol=1e-6, err_msg=name)
    for given in (None, 0.02):
        config = bert_config(position_initializer_range=given)
        assert ("position_initializer_range" in config.to_dict()) == (given is not None)
    with pytest.raises(InputError, match="position_initializer_range = -1"):
        bert_config(position_initializer_range=-1)


@pytest.mark.parametrize("model_class", CLASSES)
def test_vectors_start_at_zero_and_scales_at_one(model_class):
    config = CONFIGS[model_class.config_class]()
    for name, array in by_name(model_class(config)).items():
        assert array.dtype == np.float32
        if array.ndim == 1 or name == "final_logits_bias":
            assert (array == (1 if name.endswith("norm.weight") else 0)).all(), name
        else:
            assert len(np.unique(array)) > 0.99 * array.size, name


@pytest.mark.parametrize("model_class", CLASSES)
def test_a_seed_gives_the_same_weights_and_another_seed_others(model_class):
    config = CONFIGS[model_class.config_class]()
    one, same, other = (by_name(model_class(config, rng))
                        for rng in (3, np.random.default_rng(3), 4))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
        assert array.ndim == 1 or name == "final_logits_bias" or (array != other[name]).any()


def test_untied_weights_are_drawn_too():
    bert = mb.BertForMaskedLM(bert_config(tie_word_embeddings=False))
    gpt = mb.GPT2LMHeadModel(gpt2_config(tie_word_embeddings=False))
    assert (bert.mlm_head.decoder.data != bert.bert.embeddings.word_embeddings.weight.data).all()
    assert (gpt.lm_head.data != gpt.transformer.embeddings.word_embeddings.weight.data).all()
    assert gpt.lm_head.data.all() and bert.mlm_head.decoder.data.all()


def test_tied_weights_are_one_parameter():
    bert, gpt = mb.BertForPreTraining(bert_config()), mb.GPT2LMHeadModel(gpt2_config())
    assert bert.mlm_head.decoder is bert.bert.embeddings.word_embeddings.weight
    assert gpt.lm_head is gpt.transformer.embeddings.word_embeddings.weight
    assert "mlm_head.decoder" not in bert.state_dict() and "lm_head" not in gpt.state_dict()
