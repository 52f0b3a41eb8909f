"""Lower layers at lower rates: which parameter is where, and that the rates arrive."""

from dataclasses import replace

import numpy as np
import pytest
from tests.training.small_objective import SmallObjective, small_model

from minibert.models.bert import BertForPreTraining
from minibert.models.config import BertConfig
from minibert.training.layer_decay import layer_groups
from minibert.training.optim import decay_groups
from minibert.training.trainer import Trainer, TrainingSettings

SETTINGS = TrainingSettings(steps=5, lr=1e-2, warmup=0, schedule="constant", weight_decay=0.1)


def shares_by_name(model, layer_decay: float) -> dict[str, float]:
    groups, shares = layer_groups(model, decay_groups(model, 0.1)[0], layer_decay)
    share_of = {id(parameter): share for group, share in zip(groups, shares)
                for parameter in group["params"]}
    names = dict(model.named_parameters())
    assert sum([len(group["params"]) for group in groups]) == len(share_of) == len(names)
    return {name: share_of[id(parameter)] for name, parameter in names.items()}


def test_each_layer_has_its_share():
    model = BertForPreTraining(BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=11,
                                          num_attention_heads=1, intermediate_size=4,
                                          max_position_embeddings=5))
    for name, share in shares_by_name(model, 0.5).items():
        if "embeddings" in name:
            assert share == 0.5 ** 11, name
        elif ".blocks." in name:
            assert share == 0.5 ** (10 - int(name.split(".blocks.")[1].split(".")[0])), name
        else:
            assert share == 1.0 and ("pooler" in name or "head" in name), name


def test_gpt_has_a_norm_above_its_blocks():
    shares = shares_by_name(small_model(), 0.25)
    assert shares["transformer.stack.final_norm.weight"] == 1.0
    assert shares["transformer.stack.blocks.1.attention.qkv.weight"] == 1.0
    assert shares["transformer.stack.blocks.0.attention.qkv.bias"] == 0.25
    assert shares["transformer.embeddings.position_embeddings.weight"] == 0.0625


def test_without_decay_the_groups_stay_as_they_are():
    groups = decay_groups(small_model(), 0.1)[0]
    same, shares = layer_groups(small_model(), groups, 1.0)
    assert same is groups and shares == [1.0, 1.0]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_first_step_of_a_lower_layer_is_shorter_by_its_share(weight_decay):
    """AdamW's step is proportional to its rate, decay included."""
    steps = []
    for layer_decay in (1.0, 0.5):
        model = small_model(0.0).double()
        before = {name: array.copy() for name, array in model.state_dict().items()}
        settings = replace(SETTINGS, layer_decay=layer_decay, weight_decay=weight_decay)
        assert Trainer(model, SmallObjective(), settings).step()["lr"] == 1e-2
        steps.append({name: array - before[name] for name, array in model.state_dict().items()})
    for name, share in shares_by_name(small_model(), 0.5).items():
        np.testing.assert_allclose(steps[1][name], share * steps[0][name], rtol=1e-6, atol=1e-15)
