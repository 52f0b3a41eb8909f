"""The number of a model's parameters, counted without memory for them."""

import pytest
from tests.models.small_models import CLASSES, each_variant, small

import minibert as mb
from minibert.errors import InputError
from minibert.models.pretrained_model import parameter_count


@each_variant(CLASSES)
def test_the_count_is_that_of_the_model(model_class, variant):
    model = small(model_class, variant=variant)
    count = sum([parameter.size for parameter in model.parameters()])
    assert parameter_count(model_class, model.config) == count


def test_published_sizes_and_a_billion_layers():
    assert parameter_count(mb.GPT2LMHeadModel, mb.GPT2Config()) == 124_439_808
    assert parameter_count(mb.BertModel, mb.BertConfig()) == 109_482_240
    with pytest.raises(InputError, match=r"n_layer = 1,000,000,000.* of 7,08[0-9,]* parameters: at "
                                         "most 100,000,000,000 are built"):
        parameter_count(mb.GPT2LMHeadModel, mb.GPT2Config(n_layer=10**9))
    for sizes in ({"vocab_size": 10**15}, {"vocab_size": 10**30}, {"intermediate_size": 10**20}):
        with pytest.raises(InputError, match="10*"):
            parameter_count(mb.BertForPreTraining, mb.BertConfig(**sizes))
