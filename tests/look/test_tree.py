"""The tree of a generated text: what generate wrote, every draw repeated; the lattice of beams."""

import numpy as np
import pytest
from tests.look.small_pages import bert, gpt, tokenizer

from minibert.__main__ import main
from minibert.errors import InputError
from minibert.generation.sampling import probabilities
from minibert.look.data import find_view, new_data
from minibert.look.subject import make_subject
from minibert.look.tree import add_tree

WORDS = tokenizer()
ENDS = {"eos_token_id": 3, "suppress_tokens": [0, 1, 2, 4]}


@pytest.fixture(scope="module")
def subject():
    return make_subject("GPT", gpt(WORDS).eval(), WORDS, "the bank is")


def grown(subject, seed=0, **options):
    data = new_data([subject], "")
    add_tree(data, subject, seed, ENDS | options)
    return find_view(data, "tree")["part"]


@pytest.mark.parametrize("options", [
    {"temperature": 0.7, "top_k": 6, "top_p": 0.8}, {"top_k": 0, "repetition_penalty": 1.5},
    {"temperature": 0.0, "top_k": 3}])
def test_each_draw_leads_to_the_token_that_generate_wrote(subject, options):
    options = {"do_sample": True, "max_new_tokens": 9} | options
    part = grown(subject, 5, **options)
    written = subject.model.generate(np.array([subject.ids]), rng=5, **ENDS, **options)[0]
    assert [step["id"] for step in part["steps"]] == list(written[len(subject.ids):])
    for step in part["steps"]:
        assert step["replayed"] == step["token"]
        [chosen] = [one for one in step["candidates"] if one["id"] == step["id"]]
        assert chosen["cut"] == "" and chosen["from"] <= step["u"] < chosen["to"]
        assert all(one["kept"] == 0 for one in step["candidates"] if one["cut"])
        assert all(one["to"] - one["from"] == pytest.approx(one["kept"])
                   for one in step["candidates"])


def test_the_filters_are_named_in_their_order(subject):
    step = grown(subject, 1, do_sample=True, max_new_tokens=1, top_k=4, top_p=0.7)["steps"][0]
    logits = subject.outputs.logits.data[0, -1]
    logits[[0, 1, 2, 4]] = -np.inf
    order, p = np.argsort(-logits), probabilities(logits)
    cuts = {one["id"]: one["cut"] for one in step["candidates"]}
    assert all(cuts[i] == "top-k" for i in order[4:] if i in cuts and logits[i] > -np.inf)
    four = p[order[:4]] / p[order[:4]].sum()
    kept = int((np.cumsum(four) - four < 0.7).sum())
    assert kept < 4 and [cuts[i] for i in order[:4]] == [""] * kept + ["top-p"] * (4 - kept)


def test_roads_go_on_with_the_likeliest_token(subject):
    part = grown(subject, 2, do_sample=True, max_new_tokens=3, top_k=0)
    step = part["steps"][1]
    assert len(step["roads"]) == 2
    for road in step["roads"]:
        ids = [*subject.ids, part["steps"][0]["id"],
               next(one["id"] for one in step["candidates"] if one["token"] == road["tokens"][0])]
        greedy = subject.model.generate(np.array([ids]), max_new_tokens=6, **ENDS)[0][len(ids):]
        assert road["tokens"][1:] == [WORDS.convert_ids_to_tokens(int(i)) for i in greedy]
        assert road["tokens"][0] != step["token"]


def test_without_sampling_nothing_is_drawn(subject):
    part = grown(subject, max_new_tokens=4)
    assert all(step["u"] is None for step in part["steps"])


def test_the_lattice_holds_what_beam_search_returns(subject):
    options = {"num_beams": 3, "max_new_tokens": 5, "num_return_sequences": 3,
               "length_penalty": 0.7}
    part = grown(subject, **options)
    rows = subject.model.generate(np.array([subject.ids]), **ENDS, **options)
    texts = [[WORDS.convert_ids_to_tokens(int(i)) for i in row[len(subject.ids):]] for row in rows]
    for one, text in zip(part["finished"], texts, strict=True):
        assert text[:len(one["tokens"])] == one["tokens"]
        ids = [*subject.ids, *WORDS.convert_tokens_to_ids(one["tokens"])]
        logits = subject.model(np.array([ids])).logits.data[0]
        p = probabilities(logits)[np.arange(len(ids) - 1), ids[1:]][len(subject.ids) - 1:]
        assert one["log_p"] == pytest.approx(np.log(p).sum(), abs=1e-4)
    for before, column in zip(part["columns"], part["columns"][1:]):
        assert all(node["log_p"] < before[node["parent"]]["log_p"] for node in column)


def test_the_page_walks_through_the_steps(browser, folders, tmp_path):
    out = tmp_path / "tree.html"
    assert main(["look", str(folders / "gpt"), "the bank", "--grow", "4", "--out", str(out)]) == 0
    page = browser.page()
    page.open(out, "#tree")
    first = page.text("#tree h3")
    page.evaluate("document.querySelectorAll('#tree button.written')[2].click()")
    assert first.startswith("step 1") and page.text("#tree h3").startswith("step 3")
    assert page.evaluate("document.querySelectorAll('#tree .cumulated .chosen').length") >= 1
    assert page.console == []


def test_what_cannot_grow_is_refused(folders, tmp_path, capsys):
    subject = make_subject("BERT", bert(WORDS), WORDS, "the bank")
    with pytest.raises(InputError, match="BERT writes no text: expected a GPT"):
        grown(subject, max_new_tokens=2)
    for words, message in ((["--grow", "41"], "a picture holds 40"), (["--grow", "0"], "--grow"),
                           (["--top-k", "3"], "--top-k: only --grow uses it"),
                           (["--grow", "3", "--num-beams", "2", "--top-p", "0.5"], "--num-beams")):
        command = ["look", str(folders / "gpt"), "the", *words, "--out", str(tmp_path / "x.html")]
        assert main(command) == 2 and message in capsys.readouterr().err
