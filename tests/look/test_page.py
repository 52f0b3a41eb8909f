"""The HTML file: safe whatever the text holds, the same bytes for the same input, exact numbers."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.look.small_pages import array_in, bert, data_in, gpt, tokenizer

import minibert as mb
from minibert.errors import InputError
from minibert.look.data import KEEP, MAX_BYTES, QUERIES, WEIGHTS, encoded, new_data
from minibert.look.page import SCRIPTS, html_page, json_text, web_file
from minibert.look.subject import make_subject, visible
from minibert.look.walk import backward


class Elements(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.mark.parametrize("name", ["bert", "gpt", "both", "pair"])
def test_an_array_in_the_page_is_the_activation_to_the_bit(pages, folders, name):
    data = data_in(pages[name].read_text())
    assert data["schema"] == "minibert.look.1"
    for m, stored in enumerate(data["models"]):
        folder = folders / stored["name"].lower() / "best"
        words = mb.BertTokenizer.from_pretrained(folder)
        cls = mb.GPT2LMHeadModel if stored["causal"] else mb.BertForPreTraining
        subject = make_subject(stored["name"], cls.from_pretrained(folder), words,
                               "the bank is muddy ." if name in ("both", "pair") else
                               "the bank is" if name == "gpt" else "the bank is [MASK] .",
                               "he sat by a [MASK] ." if name == "pair" else None)
        assert subject.ids == stored["ids"]
        backward(subject)
        found = [key.removeprefix(f"m{m}.") for key in data["arrays"]
                 if key.startswith(f"m{m}.") and ".hook_" in key]
        assert {key.split(".")[-1] for key in found} >= {
            "hook_pattern", "hook_q", "hook_resid_mid", "hook_mlp_out", "hook_embed", "grad"}
        for key in found:
            of = key.removesuffix(".grad")
            expected = subject.cache[of] if of == key else subject.cache.grad(of)
            assert np.array_equal(array_in(data, f"m{m}.{key}"), expected[0]), key


def test_nothing_in_a_page_can_run_or_be_fetched_but_its_own_script(pages):
    page = pages["both"].read_text()
    elements = Elements(page)
    for tag, attributes in elements.found:
        assert tag not in ("iframe", "link", "img", "object", "base", "form", "embed")
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    assert [attributes.get("type") for tag, attributes in elements.found if tag == "script"] == [
        "application/json", None]
    policy = next(attributes["content"] for tag, attributes in elements.found
                  if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy


def test_the_scripts_place_text_as_text_and_stay_small():
    total = 0
    for name in SCRIPTS:
        script = web_file(name)
        assert script.startswith("// "), f"{name} begins with a comment"
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval",
                          "Function(", "fetch(", "localStorage", "http"):
            assert forbidden not in script, (name, forbidden)
        lines = script.splitlines()
        assert len(lines) <= 150 and max(map(len, lines)) <= 100, name
        total += len(lines)
    assert total <= 2000


def test_no_name_is_declared_twice():
    """All scripts are one function: a second declaration would silently replace the first."""
    script = "\n".join(map(web_file, SCRIPTS))
    names = re.findall(r"^(?:const|let|function|class) (\w+)", script, re.MULTILINE)
    assert len(names) > 150 and sorted(set(names)) == sorted(names)


MARKUP = ["</script>", "<img src=x onerror=alert(1)>", "<!--", "{{data}}", "x" * 200,
          "\u2028", "\u05e9\u05dc\u05d5\u05dd", "\u94f6\u884c", "\U0001f3e6", "\u202e", "\x07"]


def test_tokens_that_look_like_markup_are_text():
    words = tokenizer(*MARKUP)
    page = html_page(mb.look(bert(words), words, "the " + " ".join(MARKUP)).data)
    tags = [tag for tag, _ in Elements(page).found]
    assert tags.count("script") == 2 and tags.count("img") == 0 and tags.count("title") == 1
    shown = data_in(page)["models"][0]["tokens"]
    for token in ("</script>", "<!--", "x" * 200, "\u94f6\u884c", "\U0001f3e6", "<U+2028>",
                  "<U+202E>", "<U+0007>"):
        assert token in shown
    assert "\u202e" not in page and "\x07" not in page


def test_half_of_a_surrogate_pair_is_shown_as_the_replacement_character(tmp_path):
    words = tokenizer()
    data = mb.look(bert(words), words, "the \ud800 bank").data
    assert "\\ud800" not in json_text(encoded(data))
    mb.look(bert(words), words, "the \ud800 bank").write(tmp_path / "page.html")
    assert visible("a\ud800") == "a\ufffd"


@pytest.mark.parametrize("text, shown", [
    (" the", "\u2423the"), ("\n", "\\n"), ("", "''"), ("a b", "a b"), ("  ", "\u2423\u2423"),
    ("\u200b", "<U+200B>"), ("\u00a0", "<U+00A0>")])
def test_what_cannot_be_seen_has_a_name(text, shown):
    assert visible(text) == shown


def test_what_is_put_into_the_template_is_not_searched_again():
    page = html_page(new_data([], "look $title ${data} $$ {{tabs}}"))
    assert '<p class="made">' in page and "<br>look $title ${data} $$ {{tabs}}</p>" in page


def test_a_page_that_is_too_large_says_what_it_left_out():
    words = tokenizer()
    data = mb.look(bert(words), words, "the bank is [MASK] .").data
    whole, small = encoded(data), encoded(data, 24_000)
    assert whole["left_out"] == [] and "--max-bytes" in small["left_out"][0]["cure"]
    gone = set(whole["arrays"]) - set(small["arrays"])
    assert {data["arrays"][name]["drop"] for name in gone} == {WEIGHTS, QUERIES}  # no more
    kept = sum([one["array"].size for one in data["arrays"].values() if one["drop"] == KEEP])
    arrays = encoded(data, kept * 16 // 3 + 700)["arrays"]  # the patterns in 8 bits: 392 bytes
    assert "u8" in arrays["m0.blocks.1.attn.hook_pattern"]
    assert "m0.blocks.0.hook_resid_pre" not in arrays
    with pytest.raises(InputError, match="--max-bytes"):
        encoded(data, 100)


def test_an_existing_file_is_not_touched(tmp_path):
    words, path = tokenizer(), tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        mb.look(gpt(words), words, "the bank").write(path)
    assert path.read_text() == "mine"


def test_the_data_alone_as_json(tmp_path):
    words, path = tokenizer(), tmp_path / "page.json"
    mb.look(gpt(words), words, "the bank").write(path, MAX_BYTES)
    assert json.loads(path.read_text())["schema"] == "minibert.look.1"


def test_a_notebook_gets_the_page_in_a_sandbox():
    words = tokenizer("</iframe>")
    frame = mb.look(gpt(words), words, "the </iframe> bank")._repr_html_()
    [(tag, attributes)] = Elements(frame).found
    assert tag == "iframe" and attributes["sandbox"] == "allow-scripts"
    assert re.match("<!doctype html>", attributes["srcdoc"])
