"""The model in the page: the same logits as NumPy's on any text and with any heads cut out."""

import json

import numpy as np
import pytest
from tests.look.small_pages import bert, data_in, gpt, tokenizer

import minibert as mb
from minibert.look import live as live_module
from minibert.look.look import all_views, look
from minibert.look.walk import stored_optimizer
from minibert.look.page import SCRIPTS, web_file
from minibert.look.subject import make_subject

WORDS = tokenizer()


def make_gpt_classifier():
    return mb.GPT2ForSequenceClassification(mb.GPT2Config(
        vocab_size=len(WORDS), n_embd=12, n_layer=1, n_head=2, n_positions=20), rng=2)


def make_other(cls, **options):
    """A small model that takes its segments and positions otherwise than BERT."""
    sizes = {"vocab_size": len(WORDS), "max_position_embeddings": 20, **options}
    return cls(cls.config_class(**sizes), rng=4)


ROBERTA = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
           "intermediate_size": 20, "pad_token_id": 0, "type_vocab_size": 2}
DISTILBERT = {"dim": 12, "n_layers": 2, "n_heads": 2, "hidden_dim": 20}
MODELS = {
    "bert": lambda: bert(WORDS), "gpt": lambda: gpt(WORDS),
    "norm first, relu": lambda: bert(WORDS, norm_first=True, hidden_act="relu"),
    "untied": lambda: bert(WORDS, mb.BertForMaskedLM, tie_word_embeddings=False),
    "classes": lambda: bert(WORDS, mb.BertForSequenceClassification, num_labels=3),
    "tags": lambda: bert(WORDS, mb.BertForTokenClassification, num_labels=4),
    "answer": lambda: bert(WORDS, mb.BertForQuestionAnswering),
    "pair": lambda: bert(WORDS, mb.BertForNextSentencePrediction),
    "gpt's classes": make_gpt_classifier,
    "roberta": lambda: make_other(mb.RobertaForMaskedLM, **ROBERTA),
    "roberta's classes": lambda: make_other(mb.RobertaForSequenceClassification, **ROBERTA),
    "distilbert": lambda: make_other(mb.DistilBertForMaskedLM, **DISTILBERT),
    "distilbert's classes": lambda: make_other(mb.DistilBertForSequenceClassification,
                                               **DISTILBERT)}


@pytest.mark.parametrize("name", MODELS)
def test_javascript_computes_what_numpy_computes(browser, name, tmp_path):
    model, rng = MODELS[name](), np.random.default_rng(3)
    text = "the bank is muddy ."
    pair = None if "gpt" in name else "he sat by a [MASK] ."
    look(model, WORDS, text, pair).write(tmp_path / "page.html")
    data = data_in((tmp_path / "page.html").read_text())
    subject = make_subject("X", model, WORDS, text, pair)
    page = browser.page()
    page.open(tmp_path / "page.html")
    L, H = data["models"][0]["layers"], data["models"][0]["heads"]
    cases = []
    for _ in range(6):
        ids = [id if added else int(rng.integers(0, len(WORDS)))
               for id, added in zip(subject.ids, subject.special)]
        cut = [f"{layer}/{head}" for layer in range(L) for head in range(H) if rng.random() < 0.3]
        cases.append((ids, cut))
    scripts = "\n".join([web_file(one) for one in SCRIPTS[:SCRIPTS.index("model.js") + 1]])
    found = page.evaluate(
        f"(() => {{ {scripts}\nreturn JSON.stringify({json.dumps(cases)}.map("
        "([ids, cut]) => Array.from(runModel(0, ids, new Set(cut)).logits))) })()")
    for (ids, cut), ours in zip(cases, json.loads(found), strict=True):
        def without(z, name, cut=cut):
            z = z.copy()  # (1, T, H, D)
            for head in range(H):
                if f"{name.split('.')[1]}/{head}" in cut:
                    z[:, :, head] = 0
            return z
        outputs = model.eval().run_with_hooks(
            np.array([ids]), hooks=[(f"blocks.{i}.attn.hook_z", without) for i in range(L)],
            **subject.inputs())
        theirs = subject.target.logits(outputs).data
        assert np.abs(np.array(ours) - theirs).max() < 1e-4, cut


def test_a_token_is_replaced_and_every_view_follows(browser, tmp_path):
    words = "the bank is [MASK] ."
    look(bert(WORDS), WORDS, words).write(tmp_path / "page.html")
    look(bert(WORDS), WORDS, words.replace("bank", "river")).write(tmp_path / "other.html")
    other = data_in((tmp_path / "other.html").read_text())
    page = browser.page()
    page.open(tmp_path / "page.html")
    rows = "document.querySelectorAll('#live table')[0].innerText"
    before = page.evaluate(rows)
    page.evaluate("(() => { const field = document.querySelectorAll('#live input[list]')[1];"
                  "field.value = 'river'; field.dispatchEvent(new Event('change')); })()")
    after = page.evaluate(rows)
    assert before != after
    assert [line.split("\t")[:2] for line in after.splitlines()[2:4]] == [
        [word, f"{p:.3f}"] for word, p, _ in other["models"][0]["top"][:2]]
    assert "river" in page.evaluate("document.querySelector('#heads').innerText")
    assert page.evaluate("document.querySelector('main > .note').hidden") is False
    page.evaluate("(() => { const field = document.querySelectorAll('#live input[list]')[1];"
                  "field.value = 'nowhere'; field.dispatchEvent(new Event('change')); })()")
    assert "no token" in page.evaluate("document.querySelector('#say').innerText")
    page.evaluate("document.querySelector('#live label + span + button').click()")
    assert page.evaluate(rows) == before
    assert page.console == []


def test_a_large_model_is_live_only_when_asked(monkeypatch):
    model = bert(WORDS)
    monkeypatch.setattr(live_module, "PARAMETERS", 100)
    names = [[view["name"] for view in all_views(
        [make_subject("BERT", model, WORDS, "the bank")], [stored_optimizer(model)], "", live=live
    )["views"]] for live in (False, True)]
    assert "live" not in names[0] and "live" in names[1]
