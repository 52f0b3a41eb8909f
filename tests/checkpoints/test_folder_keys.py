"""The tables of files and keys, and the README that shows them."""

import warnings
from dataclasses import fields

import pytest
from tests.checkpoints.make_readme import FILES, README, TABLES, render

import minibert as mb
from minibert.checkpoints import folder_keys as keys
from minibert.errors import InputError
from minibert.generation.config import GenerationConfig


def test_the_readme_shows_the_tables():
    assert README.read_text(encoding="utf-8") == render(), "python -m tests.checkpoints.make_readme"
    assert set(keys.TOKENIZER_FILES) - {"characters.json"} <= set(FILES)


def test_every_rule_is_one_of_three():
    for _, table in TABLES:
        for rule in table.values():
            assert rule in (keys.USED, keys.HARMLESS, "refused") or isinstance(rule, tuple)


def test_what_is_used_of_generation_config_is_an_option_of_generate():
    used = {name for name, rule in keys.GENERATION_CONFIG.items() if rule == keys.USED}
    assert used == {field.name for field in fields(GenerationConfig)} - {"sliding_window"}


def test_a_config_s_own_fields_are_in_no_table_of_others():
    for config_class in (mb.BertConfig, mb.GPT2Config):
        names = {field.name for field in fields(config_class)}
        ruled = {name for name, rule in keys.CONFIG.items() if isinstance(rule, tuple)}
        assert not names & ruled


def test_values_are_held_against_their_rules():
    rules = {"a": keys.USED, "b": keys.HARMLESS, "c": (0, None), "d": (True, [])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keys.check_keys("f", {"a": 1, "b": object(), "c": None, "d": []}, rules)
    for wrong in ({"c": False}, {"c": 1}, {"d": 1}, {"d": [0]}, {"c": "0"}):
        with pytest.raises(InputError, match=f"^f: {[*wrong][0]} is .*: only .* is supported"):
            keys.check_keys("f", wrong, rules)
    with pytest.warns(UserWarning, match="f: unknown keys, which have no effect: 'x', 'y'"):
        keys.check_keys("f", {"x": 1, "a": 2, "y": None}, rules)
