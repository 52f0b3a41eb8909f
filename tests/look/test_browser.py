"""The pages in a real browser: nothing is refused or fetched; keys and clicks reach everything."""

import pytest
from tests.look.small_pages import bert, tokenizer
from tests.look.test_page import MARKUP

import minibert as mb


@pytest.fixture
def opened(browser):
    """open(path, hash, **view) -> Page; closed at the end of the test."""
    pages = []

    def open_page(path, hash="", **view):
        pages.append(browser.page(**view).open(path, hash))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("name", ["bert", "gpt", "both", "pair"])
def test_a_page_opens_without_a_complaint_and_without_a_network(opened, pages, name):
    page = opened(pages[name])
    assert page.console == [] and page.requests == [pages[name].as_uri()]
    assert page.evaluate("document.querySelectorAll('*').length") <= 5000
    assert page.evaluate("document.querySelectorAll('.bad').length") == 0
    assert "recomputed" in page.text("#sealed")
    unnamed = [node for node in page.accessible() if node["role"] in ("button", "link", "image")
               and not node["name"]]
    assert unnamed == []


def test_keys_alone_choose_a_head_and_a_link_restores_it(opened, pages):
    page = opened(pages["bert"])
    page.key("3", "ArrowDown", "h", "h", "ArrowLeft")
    assert page.evaluate("location.hash") == "#heads/L1H2/t3"
    pressed = "document.querySelector('.thumbs [aria-pressed=true]').dataset.place"
    assert page.evaluate(pressed) == "0/1/2"
    again = opened(pages["bert"], "#heads/L1H2/t3")
    assert again.evaluate(pressed) == "0/1/2" and again.evaluate("location.hash") == \
        "#heads/L1H2/t3"
    page.key("?")
    assert "whole words" in page.text("#help")
    page.key("Escape")
    assert page.evaluate("document.getElementById('help').hidden")


def test_the_cell_of_a_row_and_a_column_says_who_reads_whom(opened, pages, folders):
    """Row bank, column muddy: what bank reads from muddy, not the other way round."""
    words = mb.BertTokenizer.from_pretrained(folders / "bert" / "best")
    model = mb.BertForPreTraining.from_pretrained(folders / "bert" / "best")
    ids = words("the bank is muddy .", return_tensors="np")["input_ids"]
    _, cache = model.eval().run_with_cache(ids)
    page = opened(pages["both"], "#heads/L1H2/t2")
    page.evaluate("document.querySelector('canvas[tabindex]').focus()")
    page.key(*["ArrowRight"] * 5)
    weight = cache["pattern", 1][0, 2, 2, 4]
    assert page.text("#say") == f"BERT layer 1 head 2: bank reads muddy {weight:.3f}"


def test_a_click_locks_a_row_and_shift_adds_another(opened, pages):
    page = opened(pages["bert"])
    page.click("canvas[tabindex]", dx=20, dy=130)
    first = page.evaluate("location.hash")
    page.click("canvas[tabindex]", dx=20, dy=166, modifiers=8)
    assert page.evaluate("location.hash").startswith(first + "/t")
    assert " + " in page.text("[data-figure='0'] ~ div b")


def test_hidden_special_tokens_are_named_with_their_share(opened, pages):
    page = opened(pages["bert"], "#heads/L0H0/t2")
    shown = "Number(document.querySelector('.bars .number').textContent)"
    total = ("[...document.querySelectorAll('.bars .number')]"
             ".reduce((s, e) => s + +e.textContent, 0)")
    assert abs(page.evaluate(total) - 1) < 0.005 and page.evaluate(shown) > 0
    page.key("s")
    note = page.text("[data-figure='0'] ~ div p.intro")
    hidden = float(note.split()[0])
    assert "not rescaled" in note and abs(page.evaluate(total) + hidden - 1) < 0.005


def test_two_models_are_compared_over_the_tokens_that_both_have(opened, pages):
    page = opened(pages["both"])
    page.key("3", "b", "m")
    assert page.console == []
    assert page.text("[data-figure='2'] h3") == "GPT layer 0 head 0 less BERT layer 0 head 0"
    assert page.evaluate("document.querySelectorAll('.figure[hidden]').length") == 0


def test_markup_in_tokens_does_not_run(opened, tmp_path):
    words = tokenizer(*MARKUP)
    path = tmp_path / "page.html"
    mb.look(bert(words), words, "the \ud800 " + " ".join(MARKUP)).write(path)
    page = opened(path)
    assert page.console == [] and page.evaluate("document.title") == "minibert look: BERT"
    assert "</script>" in page.text(".text") and page.evaluate("document.images.length") == 0


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_page_is_not_scrolled_sideways(opened, pages, dark):
    page = opened(pages["pair"], width=360, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


