"""The options of `pretrain`: every option of a model from its line in the table to the state."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.models.other_options import other_options

import minibert as mb
from minibert.cli import pretrain, pretrain_options
from minibert.cli.arguments import flag_name, given
from minibert.cli.parser import parse
from minibert.cli.pretrain_options import (TABLES, check_combination, from_state,
                                           options_of_others, resolved)
from minibert.errors import InputError
from minibert.models.architectures import BERT, GPT, PRETRAINED_HERE
from minibert.models.config import ModelOption, option_fields
from minibert.models.config_fields import size
from minibert.validate import checked

STATE = Path("state.json")
OTHER = other_options()


def options_of(model: str):
    [architecture] = [one for one in PRETRAINED_HERE if one.name == model]
    return option_fields(architecture.config_class)


def restored(options, **changes):
    about = options.about() | changes
    about = {name: value for name, value in about.items() if value is not ...}
    return from_state({"about": about, "settings": {"steps": options.settings.steps}},
                      options.config, options.architecture, STATE)


@pytest.mark.parametrize("model, name", [
    (model, option.name) for model in ("bert", "gpt") for option in options_of(model)
    if option.help is not None])
def test_an_option_of_a_model_goes_from_the_parser_to_the_config_and_the_state(model, name):
    value = OTHER[name]
    words = [flag_name(name), *([] if value is True else [str(value)])]
    # one head of any width; or a width that the heads divide
    more = ["--width", str(OTHER["width"])] if name == "heads" else ["--heads", "1"]
    _, arguments = parse(["pretrain", model, *words, *more])
    assert arguments[name] == value
    options = resolved(model, given(arguments))
    fields = next(found for option, found in options_of(model).items() if option.name == name)
    assert all([getattr(options.config, field.name) == value for field in fields])
    assert options.about()[name] == value
    assert resolved(model, {"heads": 1}).about()[name] != value
    assert restored(options, **{name: ...} if name != "context" else {}).config == options.config


@pytest.mark.parametrize("corpus", TABLES)
def test_trained_weights_are_changed_by_small_steps(corpus):
    named = {"corpus": corpus, "text": ("a",)} if corpus == "text" else {"corpus": corpus}
    new = resolved("bert", named)
    again = resolved("bert", named, new.config)
    assert new.settings.optimizer == "muon" and again.settings.optimizer == "adamw"
    assert again.settings.lr == 1e-3 < new.settings.lr
    chosen = resolved("bert", {**named, "lr": 0.5, "optimizer": "muon"}, new.config).settings
    assert (chosen.lr, chosen.optimizer) == (0.5, "muon")


@pytest.mark.parametrize("model", ["bert", "gpt"])
@pytest.mark.parametrize("corpus", TABLES)
def test_a_state_gives_back_the_options(model, corpus):
    named = {"corpus": corpus, "steps": 30, "gradient_checkpointing": True}
    named |= {"text": ("a", "b")} if corpus == "text" else {}
    options = resolved(model, named)
    again = from_state({"about": options.about(), "settings": vars(options.settings)},
                       options.config, options.architecture, STATE)
    assert again == options and again.gradient_checkpointing
    older = restored(options, gradient_checkpointing=..., no_next_sentence=..., format=...,
                     mlm_probability=...)
    assert not older.gradient_checkpointing and older.format == "prose"
    assert older.mlm_probability == 0.15, "as all runs were that do not say it"


@pytest.mark.parametrize("changes, words", [
    ({"batch": ...}, "state.json: there is no batch in it"),
    ({"layers": 5}, "state.json: layers is 5, but the model beside it has 2"),
    ({"tokenizer": "own"}, "state.json: --tokenizer = 'own'"),
    ({"batch": 2.5}, "state.json: --batch = 2.5"), ({"context": 49}, "--context = 49"),
    ({"mlm_probability": 0}, "--mlm-probability = 0"), ({"dupe_factor": 0}, "--dupe-factor = 0"),
    ({"no_next_sentence": 1}, "--no-next-sentence = 1"), ({"text": ["x"]}, "--text")])
def test_a_state_that_is_wrong_names_its_file(changes, words):
    options = resolved("bert", {"steps": 30})
    with pytest.raises(InputError, match=words):
        restored(options, **changes)


def test_options_do_not_change():
    options = resolved("gpt", {})
    with pytest.raises(AttributeError):
        options.batch = 3
    assert replace(options, batch=3).batch == 3


@dataclass(frozen=True)
class WindowConfig(mb.GPT2Config):
    """A config with an option of GPT alone, as a contributor would add it."""

    window: int | None = checked(
        size, None, option=ModelOption("window", "tokens that GPT looks back"), optional=True,
        omit_default=True, changes_model_type=True)


def test_an_option_of_one_model_alone(monkeypatch):
    changed = (BERT, replace(GPT, config_class=WindowConfig))
    for module in (pretrain, pretrain_options):
        monkeypatch.setattr(module, "PRETRAINED_HERE", changed)
    _, arguments = parse(["pretrain", "gpt", "--window", "3"])
    config = resolved("gpt", given(arguments)).config
    assert config.window == 3 and config.model_type == "gpt2_window"
    of_bert = ("norm_first", "no_next_sentence", "mlm_probability", "dupe_factor")
    of_gpt = ("window",)
    for name in (*of_bert, *of_gpt):
        check_combination("both", {name: 1})
    for own, other, names in (("gpt", "bert", of_bert), ("bert", "gpt", of_gpt)):
        assert set(options_of_others(own)) >= set(names)
        for name in names:
            check_combination(other, {name: 1})
            with pytest.raises(InputError, match=f"{flag_name(name)} is about {other.upper()}: "
                                                 f"train {other} or both"):
                check_combination(own, {name: 1})


def test_a_setting_of_another_version_is_refused():
    options = resolved("gpt", {})
    with pytest.raises(InputError, match="state.json: the setting 'momentum' is unknown"):
        from_state({"about": options.about(), "settings": {"steps": 30, "momentum": 0.9}},
                   options.config, options.architecture, STATE)


@pytest.mark.parametrize("model", ["bert", "gpt"])
def test_the_first_weights_follow_the_width_where_no_table_says_otherwise(model):
    text = {"corpus": "text", "text": ("a",), "width": 64}
    assert resolved(model, text).config.initializer_range == 0.125
    assert resolved(model, {"width": 64}).config.initializer_range == 0.1, "the toy world's"
