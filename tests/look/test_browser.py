"""The pages in a real browser: nothing is refused or fetched; keys and clicks reach everything."""

import numpy as np
import pytest
from tests.look.small_pages import array_in, bert, data_in, tokenizer
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


@pytest.mark.parametrize("cls, changes, words", [
    (mb.BertForSequenceClassification, {"num_labels": 1}, "No weight has a gradient"),  # p is 1
    (mb.BertForTokenClassification, {"num_labels": 3, "norm_first": True}, "new w of the engine")])
def test_one_label_or_the_norm_first_is_drawn(opened, tmp_path, cls, changes, words):
    vocabulary = tokenizer()
    model = bert(vocabulary, cls, **changes)
    mb.look(model, vocabulary, "the bank is").write(tmp_path / "page.html")
    page = opened(tmp_path / "page.html")
    assert page.evaluate("document.querySelectorAll('.bad').length") == 0 and page.console == []
    assert words in page.text("#back")


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
    assert page.evaluate("document.querySelector('#help:popover-open') === null")


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
    assert page.evaluate("document.querySelectorAll('#heads .figure[hidden]').length") == 0


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


def test_every_view_is_reached_by_its_number(opened, pages):
    page = opened(pages["both"])
    names = page.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))")
    assert names[:3] == ["walk", "back", "heads"] and names[-1] == "seal"
    for number, name in enumerate(names[:9], 1):
        page.key(str(number))
        assert page.evaluate("location.hash").startswith(f"#{name}/")
        top = f"document.getElementById('{name}').getBoundingClientRect().top"
        assert -1 <= page.evaluate(top) < 900
    assert page.console == []


def test_without_scripts_the_tables_hold_the_same(opened, pages):
    page = opened(pages["bert"], scripts=False)
    data = data_in(pages["bert"].read_text())
    for word, p, _ in data["models"][0]["top"][:5]:
        assert f"\u201c{word}\u201d {p:.3f}" in page.text("header")
    for sentence in data["views"][2]["sentences"][0][0]:
        assert sentence in page.text("#heads")
    assert "Without JavaScript" in page.text("header")


def test_on_paper_every_section_is_there(opened, pages):
    page = opened(pages["bert"])
    page.media(kind="print")
    hidden = page.evaluate("[...document.querySelectorAll('h2')].filter((e) => !e.offsetHeight)")
    assert hidden == [] and page.evaluate("document.querySelector('nav').offsetHeight") == 0
    assert page.pdf().startswith(b"%PDF")


def test_dark_and_light_are_two(opened, pages):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (opened(pages["bert"], dark=dark).evaluate(paper) for dark in (False, True))
    assert light != dark


def test_results_stay_covered_until_they_are_guessed(opened, pages):
    page = opened(pages["bert"])
    page.key("1", "g")
    covered = "document.querySelectorAll('#walk .covered').length"
    before = page.evaluate(covered)
    page.key(" ", "Enter")
    assert before >= 10 and page.evaluate(covered) == before - 1
    page.key("g")
    assert page.evaluate(covered) == 0


def test_the_walk_computes_the_softmax_from_the_scores(opened, pages, folders):
    page = opened(pages["gpt"], "#walk/L1H1/t3")
    words = mb.BertTokenizer.from_pretrained(folders / "gpt" / "best")
    model = mb.GPT2LMHeadModel.from_pretrained(folders / "gpt" / "best")
    ids = [[words.sep_token_id, *words.encode("the bank is", add_special_tokens=False)]]
    _, cache = model.eval().run_with_cache(np.array(ids))
    table = "[...document.querySelectorAll('#walk .step')][6].querySelectorAll('td:last-child')"
    shown = page.evaluate(f"[...{table}].map((cell) => cell.textContent)")
    assert shown == [f"{weight:.4f}" for weight in cache["pattern", 1][0, 1, 3]] + ["1.0000"]


def test_the_engines_update_of_a_weight_is_the_one_that_is_computed_here(opened, pages):
    page = opened(pages["both"])
    rows = "[...document.querySelectorAll('#back .step')].at(-1).querySelectorAll('tr')"
    for model in range(2):
        cells = page.evaluate(f"[...{rows}].slice(-2).map((row) => row.cells[1].textContent)")
        assert cells[0] == cells[1] and float(cells[0].replace("\u2212", "-")) != 0
        page.key("m")


def test_a_damaged_number_breaks_the_seal(opened, pages, tmp_path):
    text = pages["bert"].read_text()
    data = data_in(text)
    scores = data["arrays"]["m0.blocks.0.attn.hook_qk"]["f32"]
    path = tmp_path / "page.html"
    path.write_text(text.replace(scores, "AACAPw" + scores[6:], 1))  # the first number becomes 1
    page = opened(path)
    assert "fail" in page.text("#sealed.bad") and "TOO LARGE" in page.text("#seal")


def test_a_key_shows_the_stream_of_the_other_model_and_the_sum_of_a_gpts_logit(opened, pages):
    page = opened(pages["both"])
    assert page.evaluate("document.querySelector('#stream .fall') === null")
    page.key("m")
    numbers = page.evaluate("[...document.querySelectorAll('#stream .fall .number')]"
                            ".map((e) => +e.textContent.replace('\\u2212', '-'))")
    assert len(numbers) == 2 + 2 * 5 + 2 and abs(sum(numbers[:-1]) - numbers[-1]) < 0.1


def test_every_view_of_two_models_and_two_texts_is_drawn_and_follows_the_keys(opened, pages):
    page = opened(pages["against"])
    hidden = "[...document.querySelectorAll('.figure')].filter((e) => e.hidden).length"
    assert page.console == [] and page.evaluate("document.querySelectorAll('.bad').length") == 0
    assert page.evaluate(hidden) < page.evaluate("document.querySelectorAll('.figure').length") / 3
    page.key("m", "ArrowLeft", "ArrowDown")
    assert page.console == [] and "after layer 0" in page.text("#map h3")
    assert page.text("#two h3") == "BERT layer 1 head 0"
    assert "of a row to later tokens" in page.text("#two")
    page.evaluate("document.querySelector('#causes canvas').focus()")
    page.key("ArrowRight")
    assert page.text("#say").startswith("layer 0, head ")
    place = page.evaluate("document.querySelector('#map canvas').points[2]")
    page.click("#map canvas", *place)
    assert page.evaluate("location.hash").endswith("/t2")


def test_the_effect_of_a_head_is_that_of_the_view_causes(opened, pages):
    page = opened(pages["bert"], "#heads/L1H2/t2")
    data = data_in(pages["bert"].read_text())
    change = array_in(data, "m0.causes.zero")[1, 2]
    shown = page.text("[data-figure='0'] ~ div p").replace("\u2212", "-")
    assert f"changes by {change:.3f}." in shown


def test_heads_are_sorted_by_what_their_removal_changes(opened, pages):
    page = opened(pages["both"])
    page.key("3", "e")
    places = page.evaluate("[...document.querySelectorAll('#heads .thumbs')].map((grid) => "
                           "[...grid.querySelectorAll('button')].map((one) => "
                           "[one.dataset.place, one.textContent]))")
    data = data_in(pages["both"].read_text())
    for m, shown in enumerate(places):
        *heads, (rollout, _) = shown
        changes = array_in(data, f"m{m}.causes.zero")
        effects = [changes[tuple(map(int, place.split("/")[1:]))] for place, _ in heads]
        assert len(heads) == 6 and rollout == f"{m}/2/0"
        assert list(np.abs(effects)) == sorted(np.abs(effects), reverse=True)
        assert [text.split()[1].replace("\u2212", "-") for _, text in heads] == [
            f"{effect:.2f}" for effect in effects]
    page.key("e")
    assert page.evaluate("document.querySelector('#heads .thumbs button').dataset.place") == "0/0/0"


def test_what_has_the_focus_keeps_it_when_a_view_is_drawn_again(opened, pages):
    page = opened(pages["bert"], "#heads/L0H0/t2")
    page.evaluate("document.querySelector('#heads canvas[tabindex]').focus()")
    page.key("ArrowDown", "Enter")
    assert page.evaluate("location.hash") == "#heads/L0H0/t3"
    assert page.evaluate("document.activeElement.matches('#heads canvas[tabindex]')")


def test_the_view_that_is_read_does_not_move_when_one_above_it_grows(opened, pages):
    page = opened(pages["gpt"], "#heads/L0H0/t3")
    top = "document.querySelector('#heads h2').getBoundingClientRect().top"
    before, height = page.evaluate(top), page.evaluate("document.body.scrollHeight")
    page.key("ArrowLeft", "ArrowLeft")
    assert page.evaluate("document.body.scrollHeight") < height
    assert abs(page.evaluate(top) - before) < 2
