"""Configs: checked fields, the options that set them, and what is written to config.json."""

from dataclasses import fields, replace

import numpy as np
import pytest
from tests.models.other_options import other_options

import minibert as mb
from minibert.errors import InputError
from minibert.models.architectures import ARCHITECTURES, BERT, GPT, architecture_of, classes_of
from minibert.models.config import (config_from_dict, config_from_options, option_fields,
                                    option_values)

CONFIGS = [mb.BertConfig, mb.GPT2Config]
OPTIONS = other_options()


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_option_arrives_in_its_fields_and_is_read_back(config_class):
    config = config_from_options(config_class, OPTIONS, vocab_size=11)
    assert config.vocab_size == 11
    found = option_fields(config_class)
    assert {option.name for option in found} >= {"layers", "heads", "width", "context", "dropout"}
    for option, names in found.items():
        for one in names:
            assert getattr(config, one.name) == OPTIONS[option.name] != one.default
    values = option_values(config)
    assert values == {name: OPTIONS[name] for name in values}
    assert config_from_options(config_class, values, vocab_size=11) == config
    for option, names in found.items():  # a run older than an option has its default
        if option.name not in ("heads", "width"):  # whose defaults only go together
            older = {name: value for name, value in values.items() if name != option.name}
            config = config_from_options(config_class, older)
            assert getattr(config, names[0].name) == names[0].default


@pytest.mark.parametrize("config_class", CONFIGS)
def test_a_switch_of_the_command_line_is_off_by_default(config_class):
    """The parser can only switch it on."""
    for found in option_fields(config_class).values():
        assert all(one.default is False for one in found if isinstance(one.default, bool))


@pytest.mark.parametrize("name, value, message", [
    ("layers", 0, "--layers = 0: expected a whole number"), ("width", "8", "--width = '8'"),
    ("dropout", 1, "--dropout = 1"), ("initializer_range", float("nan"), "--initializer-range"),
    ("norm_first", 1, "--norm-first = 1")])
def test_a_value_that_cannot_be_names_the_option(name, value, message):
    with pytest.raises(InputError, match=message):
        config_from_options(mb.BertConfig, {name: value})


@pytest.mark.parametrize("config_class", CONFIGS)
def test_numpys_numbers_become_pythons(config_class):
    plain = config_from_options(config_class, OPTIONS, vocab_size=11)
    kinds = {int: np.int64, float: np.float64, bool: np.bool_, str: str}
    values = {one.name: kinds[type(value)](value) for one in fields(plain)
              if type(value := getattr(plain, one.name)) in kinds}
    config = config_class(**values)
    assert config == plain
    for name, value in config.to_dict().items():
        assert not isinstance(value, np.generic), name


def test_our_own_fields_stand_in_config_json_and_its_type_only_where_they_differ():
    config = mb.BertConfig(position_initializer_range=0.01)
    assert config.model_type == "bert" and config.to_dict()["position_initializer_range"] == 0.01
    assert "norm_first" not in config.to_dict()
    config = replace(config, norm_first=True)
    assert config.model_type == "bert_norm_first" and config.to_dict()["norm_first"] is True
    assert config_from_dict(mb.BertConfig, config.to_dict()) == config
    for values in ({"model_type": "bert_norm_first"}, {"model_type": "bert", "norm_first": True},
                   {"model_type": "gpt2"}, {"model_type": "bert_rope"}, {"model_type": 3}):
        with pytest.raises(InputError, match="expected 'bert"):
            config_from_dict(mb.BertConfig, values)


def test_new_labels_drop_the_old_problem_type():
    values = mb.BertConfig(num_labels=1, problem_type="regression").to_dict()
    assert config_from_dict(mb.BertConfig, values).problem_type == "regression"
    for changes in ({"num_labels": 3}, {"id2label": {0: "a", 1: "b"}}):
        assert config_from_dict(mb.BertConfig, values, changes).problem_type is None


def test_the_architecture_of_a_config_json():
    for architecture in ARCHITECTURES:
        config = architecture.config_class()
        assert architecture_of(config.to_dict()) is architecture
        for one in classes_of(architecture):
            assert one.config_class is architecture.config_class
            assert architecture_of({"architectures": [one.__name__]}) is architecture
    assert architecture_of({"model_type": "bert_norm_first"}) is BERT
    assert architecture_of({"n_embd": 3}) is GPT and architecture_of({"hidden_size": 3}) is BERT
    for values in ({"model_type": "llama"}, {"model_type": ["bert"]}, {}):
        with pytest.raises(InputError):
            architecture_of(values)
