"""`python -m minibert look`: what it refuses, in one line; the same bytes from every process."""

import configparser
import json
import os
import subprocess
import sys

import pytest
from tests.cli.command_line import mistake, output_of
from tests.look.small_pages import SPECIALS, bert, data_in, tokenizer
from tests.look.test_walk import ROOT

import minibert as mb
from minibert.look.data import WEIGHTS, encoded
from minibert.look.page import html_page

TEXT = "the bank is [MASK] ."


def test_the_same_bytes_from_two_processes(folders, tmp_path):
    """Other hash seed, time zone, language and folder."""
    pages = []
    for i, (seed, zone, language) in enumerate([("1", "UTC", "C"), ("2", "Asia/Tokyo", "C.UTF-8")]):
        place = tmp_path / f"folder{i}"
        place.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language,
                       "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "minibert", "look", str(folders), TEXT]
        subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
        pages.append((place / "look.html").read_bytes())
    assert pages[0] == pages[1]


def test_ascii_where_the_terminal_has_no_more(folders):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                   "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "minibert", "look", str(folders / "bert"), TEXT,
                           "--terminal"], env=environment, check=True, capture_output=True)
    text = done.stdout.decode("ascii")
    assert max(map(len, text.splitlines())) <= 80 and "softmax of [MASK]" in text


@pytest.mark.parametrize("arguments, message", [
    ([TEXT * 20], "--tokens 0:"), ([TEXT, "--tokens", "3:99"], "within 0:5"),
    ([TEXT, "--tokens", "three"], "such as 0:30"), ([TEXT, "--layer", "2"], "--layer"),
    ([TEXT, "--head", "-1"], "--head"), ([TEXT, "--token", "7"], "--token"), ([""], "empty"),
    ([TEXT, "--target", "unheard"], "unheard"), ([TEXT, "--max-bytes", "10"], "--max-bytes"),
    ([TEXT, "--view", "heads"], "--terminal"), ([TEXT, "--view", "unheard"], "invalid choice"),
    ([TEXT, "--terminal", "--out", "x.html"], "--out"),
    ([TEXT, "--out", "missing/x.html"], "missing"), ([TEXT, "--pair", ""], "empty")])
def test_a_mistake_is_told_in_one_line(folders, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in mistake(capsys, "look", folders / "bert", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_page_is_not_touched(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "look.html").write_text("mine")
    assert "exists already" in mistake(capsys, "look", folders / "bert", TEXT)
    assert (tmp_path / "look.html").read_text() == "mine"


def test_folders_that_cannot_be_looked_into(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "no such folder" in mistake(capsys, "look", tmp_path / "missing", TEXT)
    assert "neither a run nor" in mistake(capsys, "look", tmp_path, TEXT)
    other = tmp_path / "other"
    mb.BertTokenizer([*SPECIALS, "the"]).save_pretrained(other)
    bert(mb.BertTokenizer([*SPECIALS, "the"])).save_pretrained(other)
    line = mistake(capsys, "look", folders / "bert", TEXT, "--with", other)
    assert "vocabulary" in line
    assert "two models" in mistake(capsys, "look", folders, TEXT, "--with", folders / "bert")
    (other / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert "llama" in mistake(capsys, "look", other, TEXT)


def test_two_models_of_one_vocabulary_side_by_side(folders, tmp_path, capsys):
    out = tmp_path / "two.html"
    output_of(capsys, "look", folders / "bert", TEXT, "--with", folders / "gpt", "--out", out)
    assert [model["name"] for model in data_in(out.read_text())["models"]] == [
        "BERT (bert)", "GPT (gpt)"]


def test_the_page_names_the_command_that_made_it(folders, tmp_path, capsys):
    out = tmp_path / "page.html"
    output_of(capsys, "look", folders / "gpt", "the bank's", "--target", "muddy", "--layer", "1",
              "--quick", "--grow", "2", "--top-k", "3", "--out", out)
    assert data_in(out.read_text())["command"] == (
        "python -m minibert look gpt 'the bank'\"'\"'s' --target muddy --layer 1 --quick --grow 2 "
        "--top-k 3")


def test_the_command_is_shown_as_all_other_text(folders, tmp_path, capsys):
    out = tmp_path / "page.html"
    output_of(capsys, "look", folders / "gpt", "the \udcff bank\u202e", "--quick", "--out", out)
    assert data_in(out.read_text())["command"].endswith("'the \ufffd bank<U+202E>' --quick")


def test_unknown_words_are_shown_as_what_the_model_reads(folders, tmp_path, capsys):
    out = tmp_path / "page.html"
    output_of(capsys, "look", folders / "bert", "zebra \u94f6\u884c", "--out", out)
    data = data_in(out.read_text())
    assert data["models"][0]["tokens"][1:-1] == ["[UNK]"] * 3
    assert "All tokens" in data["notes"][0]


def test_a_page_of_the_toy_models_size_is_small():
    words = tokenizer(*[f"w{i}" for i in range(145)])
    toy = bert(words, hidden_size=64, num_attention_heads=4, intermediate_size=256)
    data = mb.look(toy, words, "the bank is [MASK] . " + "the bank is muddy .").data
    assert len(html_page(data)) <= 1_000_000
    data["arrays"] = {name: entry for name, entry in data["arrays"].items()
                      if entry["drop"] != WEIGHTS}
    assert len(json.dumps(encoded(data))) <= 300_000


def test_the_files_of_a_page_are_installed():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["options.package_data"]["minibert"] == "look/web/*"
    web = ROOT / "minibert" / "look" / "web"
    assert all(path.is_file() for path in web.iterdir()) and (web / "main.js").exists()
