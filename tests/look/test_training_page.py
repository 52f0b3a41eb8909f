"""The page of trainings: its numbers are the log's, and a browser shows one step in all charts."""

import json

import numpy as np
import pytest
from tests.look.small_pages import array_in, data_in
from tests.look.small_runs import falling, records, write_run

from minibert.__main__ import main
from minibert.look.data import coded
from minibert.look.film import decoded

HELD_OUT = {0: 4.1, 20: 2.5, 40: 1.25}


def film_of(step):
    rng = np.random.default_rng(step)
    pattern = np.tril(rng.random((2, 2, 3, 3)))
    return {"kind": "film", "step": step, "tokens": ["the", "</script>", "bank"],
            "words": ["the", "bank", "river"],
            "attention": coded(255 * pattern / pattern.sum(axis=-1, keepdims=True), "u8"),
            "vectors": coded(rng.normal(size=(3, 4)), "f16")}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a run with a film beside one without."""
    folder = tmp_path_factory.mktemp("runs")
    log = records(falling(), HELD_OUT, norms=(0.5, 2.0))
    for step in (0, 5, 40):
        place = next(i for i, record in enumerate(log) if record.get("step") == step)
        log.insert(place + 1, film_of(step))
    write_run(folder / "first", log)
    write_run(folder / "second", records(falling(20, last=3.0), {0: 4.1, 20: 3.0}), steps=None)
    out = folder / "look.html"
    assert main(["look", str(folder / "first"), "--with", str(folder / "second"), "--out",
                 str(out)]) == 0
    return out


@pytest.fixture
def opened(browser, page):
    pages = []

    def open_page(hash="", **view):
        pages.append(browser.page(**view).open(page, hash))
        return pages[-1]

    yield open_page
    for one in pages:
        one.close()


def test_the_numbers_in_the_page_are_those_of_the_log(page):
    data = data_in(page.read_text())
    [view] = data["views"]
    assert view["name"] == "run" and [run["name"] for run in view["runs"]] == ["first", "second"]
    low, mean, high = array_in(data, "m0.run.loss")
    assert np.array_equal(mean, np.float32(falling())) and np.array_equal(low, high)
    assert view["runs"][0]["charts"][0]["dots"] == [[0, 4.1], [20, 2.5], [40, 1.25]]
    assert view["runs"][1]["film"] is None and view["runs"][0]["film"]["steps"] == [0, 5, 40]
    assert str(page.parent) not in page.read_text()


def test_a_loss_beyond_float32_is_the_largest_number_of_the_page(browser, tmp_path):
    write_run(tmp_path / "run", records([1e99, -1e99, 1.0], {0: 1.0}))
    assert main(["look", str(tmp_path / "run"), "--out", str(tmp_path / "x.html")]) == 0
    page = browser.page().open(tmp_path / "x.html", "#run/s1")
    assert page.evaluate("document.querySelectorAll('.bad').length") == 0 and page.console == []
    assert "e+38" in page.text("#run .readout")
    page.close()


def test_without_scripts_there_are_a_curve_the_verdict_and_the_evaluations(page):
    text = page.read_text().split('<script type="application/json"')[0]
    assert text.count("<svg") == 2 and "Below counting words (3.00)" in text
    assert "<td>1.2500</td>" in text and "text of step 40" in text
    assert "<title>minibert look: first and second</title>" in text


def test_the_terminal_shows_the_curve_and_the_verdict(page, capsys):
    assert main(["look", str(page.parent / "first"), "--terminal", "--view", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "first: loss, nats per token" in lines and "   4.000 - - knowing nothing: ln V" in lines
    assert "ok  Below counting words (3.00) at every evaluation since step 20." in lines


def test_the_data_alone_holds_no_pictures(page, tmp_path):
    out = tmp_path / "x.json"
    assert main(["look", str(page.parent / "first"), "--out", str(out)]) == 0
    stored = json.loads(out.read_text())
    assert stored["views"][0]["runs"][0]["name"] == "first" and "<svg" not in out.read_text()


def test_a_page_of_trainings_opens_without_a_complaint(opened, page):
    tab = opened()
    assert tab.console == [] and tab.requests == [page.as_uri()]
    assert tab.evaluate("document.querySelectorAll('*').length") <= 5000
    assert tab.evaluate("document.querySelectorAll('.bad').length") == 0
    assert [node for node in tab.accessible() if node["role"] in ("button", "slider", "image")
            and not node["name"]] == []
    narrow = opened(width=360)
    assert narrow.evaluate("document.documentElement.scrollWidth") == 360


def test_arrow_keys_choose_one_step_for_charts_samples_and_film(opened):
    tab = opened()
    readouts = "Array.from(document.querySelectorAll('.readout'), (one) => one.textContent)"
    tab.key(*["ArrowLeft"] * 41)
    assert all(one.startswith("Step 0: ") for one in tab.evaluate(readouts))
    tab.key(".", ".", "ArrowRight")
    shown = tab.evaluate(readouts)
    mean = falling()[20]
    assert shown[0].startswith(f"Step 21: first: {mean:.4g}, held out 2.5 at step 20; second: ")
    assert len(shown) == 3 and all(one.startswith("Step 21: ") for one in shown)
    assert "text of step 20" in tab.text("#run") and "film, step 5" in tab.text("#run")
    assert tab.text("#say").startswith("Step 21: first")
    assert tab.evaluate("location.hash") == "#run/s21"
    again = opened(hash="#run/s21")
    assert again.evaluate(readouts) == shown


def test_the_slider_of_the_film_moves_the_charts(opened):
    tab = opened()
    tab.evaluate("(() => { const one = document.querySelector('input[type=range]'); one.value = 1;"
                 "one.dispatchEvent(new Event('input')); })()")
    assert tab.text(".readout").startswith("Step 5: first: ")


def test_the_mouse_names_the_words_of_the_map(opened, page):
    tab, film = opened(), data_in(page.read_text())["views"][0]["runs"][0]["film"]
    canvas = "canvas[aria-label*='3 words']"
    places = decoded("map", film["map"], "f16", 3)[-1]
    width, height = tab.evaluate(f'(({{ clientWidth, clientHeight }}) => [clientWidth, '
                                 f'clientHeight])(document.querySelector("{canvas}"))')
    for word, (x, y) in zip(film["words"], places.astype(float)):
        tab.click(canvas, 26 + (1 + x) / 2 * (width - 52), 26 + (1 - y) / 2 * (height - 52))
        assert tab.text("#say") == word


def test_the_mouse_previews_a_step_and_a_click_keeps_it(opened):
    tab = opened()
    tab.click("#run canvas", 46, 100)
    assert tab.text(".readout").startswith("Step 0: ")
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=600, y=300)
    assert tab.text(".readout").startswith("Step 0: ")
    tab.click("#run canvas", 200, 100)  # free again
    assert not tab.text(".readout").startswith("Step 0: ")


@pytest.mark.parametrize("more, words", [
    (["--target", "bank"], "--target is about a text"), (["--layer", "1"], "--layer is about"),
    (["--with", "none"], "no such folder"),
    (["--with", "..", "the bank"], "--with the bank: there is no such folder: expected a run; a "
     "text stands before --with"),
    (["--out", "."], "exists already"),
    (["--terminal", "--view", "heads"], "without a text expected one of run"),
    (["--view", "run"], "give --terminal"),
    (["--terminal", "--out", "x"], "writes no file")])
def test_mistakes_are_one_line(page, capsys, more, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["look", str(page.parent / "first"), *more]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_in_the_place_of_the_text(page, capsys):
    first, second = page.parent / "first", page.parent / "second"
    assert main(["look", str(first), str(second)]) == 2
    assert f"say {first} --with {second}" in capsys.readouterr().err
