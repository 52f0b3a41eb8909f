"""Answers to tokens and back: substrings of the text, byte for byte, over windows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetuning.small_tasks import TOKENIZER, bert_config, reading, small

from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.examples import Answer, QuestionExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.question_answering import (NO_EDGE, NO_LABEL, NO_TOKEN,
                                                          PredictedAnswer, QuestionAnswering,
                                                          align_answer)
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.trainer import Trainer, TrainingSettings

TASK = QuestionAnswering(reading(max_length=20, overlap=4), may_be_empty=True)
# what a tokenizer changes must not change in an answer: case, accents, blanks, characters it drops
WORDS = st.sampled_from(["a", "B", "Unhappy", "rereread", "Ä", "北京", "zebra", "x", "c.", "(d",
                         "e\u0301", "\u200d", "É"])
TEXT = st.lists(st.tuples(WORDS, st.sampled_from([" ", "  ", "\n", "\t", " \u3000", ""])),
                min_size=1, max_size=30).map(lambda parts: "".join(map("".join, parts)))


def asked(context: str, *answers: tuple[str, int], question: str = "not a ?", where: str = ""
          ) -> QuestionExample:
    return QuestionExample("q", question, context, tuple(Answer(*pair) for pair in answers), where)


@st.composite
def answered(draw):
    """A context and an answer that begins and ends where tokens do."""
    context = draw(TEXT)
    offsets = [(start, end) for _, start, end in TASK.reading.pieces(context)]
    if not offsets:
        return asked(context)
    first = draw(st.integers(0, len(offsets) - 1))
    last = draw(st.integers(first, min(first + 3, len(offsets) - 1)))
    start, end = offsets[first][0], offsets[last][1]
    return asked(context, (context[start:end], start))


def scores_of(row, sharpness: float, rng) -> np.ndarray:
    """(2, T + 2) scores that point where the label says."""
    scores = rng.normal(size=(2, len(row) + 2)) * 0.1
    for k, place in enumerate(row.label):
        scores[k, place] += sharpness
    return scores


@given(example=answered(), seed=st.integers(0, 5))
def test_labels_point_at_the_answer_and_perfect_scores_give_it_back(example, seed):
    rows = TASK.rows([example])
    rng = np.random.default_rng(seed)
    for row in rows:
        assert len(row) <= 20
        start, end = row.label
        if start:
            text = example.passage[row.alignment[start][0]:row.alignment[end][1]]
            assert text == example.answers[0].text
        else:
            assert end == 0
    if example.answers:
        assert any(row.label != (0, 0) for row in rows), "some window holds the whole answer"
    rows = [rows[i] for i in rng.permutation(len(rows))]
    [found] = TASK.predictions([example], rows, [scores_of(row, 20, rng) for row in rows])
    assert found.text == (example.answers[0].text if example.answers else "")
    if found.answer:
        start = found.answer.start
        assert example.passage[start:start + len(found.text)] == found.text
        assert found.null_difference < 0 and found.probability > 0.5
        if example.passage.count(found.text) == 1:
            assert start == example.answers[0].start


@given(context=TEXT, seed=st.integers(0, 5))
def test_whatever_the_scores_an_answer_is_a_stretch_of_the_text(context, seed):
    task = QuestionAnswering(reading(max_length=20, overlap=4), may_be_empty=False)
    [found] = predict(task, small(task, seed), [asked(context, question="a b ?")])
    if found.answer is None:
        assert not TOKENIZER.encode(context, add_special_tokens=False)
    else:
        assert found.text and context[found.answer.start:].startswith(found.text)
        assert found.text.encode() in context.encode() and found.text == found.text.strip()


def test_windows_repeat_the_question_and_share_the_overlap():
    context = "a b c d e a b c d e a b c d e a b"
    rows = TASK.rows([asked(context, ("c d", 24), question="not good ?")])  # 20 - 3 - 3 = 14
    words = [TOKENIZER.decode(row.ids) for row in rows]
    assert words == ["[CLS] not good? [SEP] a b c d e a b c d e a b c d [SEP]",
                     "[CLS] not good? [SEP] a b c d e a b [SEP]"]
    assert [row.label for row in rows] == [(17, 18), (7, 8)], "both hold it"
    assert rows[0].types == [0] * 5 + [1] * 15
    assert (rows[0].alignment[:5] == -1).all() and (rows[0].alignment[-1] == -1).all()
    owners = [row.alignment[row.alignment[:, 0] >= 0, 2] for row in rows]
    assert [owner.sum() for owner in owners] == [12, 5] and not owners[1][:2].any()


def test_an_answer_over_the_edge_of_a_window_is_not_in_it():
    context = "a b c d e a b c d e a b c d e a b c d e"
    rows = TASK.rows([asked(context, ("c d e a", 24), question="not good ?")])
    assert [row.label for row in rows] == [(0, 0), (7, 10)], "tokens 12 to 15, of 0 to 13"
    rows = TASK.rows([asked(context, ("e a b c", 18), question="not good ?")])
    assert [row.label for row in rows] == [(14, 17), (0, 0)], "tokens 9 to 12, of 10 to 19"


def test_a_question_that_is_too_long_is_cut_and_that_is_told():
    rows = TASK.rows([asked("a b c", ("b", 2), question="a b c d e a b c d e")])
    assert TOKENIZER.decode(rows[0].ids) == "[CLS] a b c d e a b c [SEP] a b c [SEP]"
    assert "lost its end" in rows[0].note and rows[0].label == (11, 11)
    wide = QuestionAnswering(reading(max_length=300, overlap=297), True)
    [row, *_] = wide.rows([asked("c " * 300, question="a b " * 50)])
    assert row.ids[1:66] == [*wide.reading.ids("a b " * 32), TOKENIZER.sep_token_id]


def test_windows_bring_something_new_however_long_the_question():
    task = QuestionAnswering(reading(max_length=20, overlap=16), True)
    rows = task.rows([asked("a b c d e " * 4, question="a b c d e a b c d e")])  # 9 in a window
    assert [row.ids[-2] for row in rows] == task.reading.ids("a b c d e " * 4)[8:]


@pytest.mark.parametrize("text, start, span, note", [
    ("good", 2, (1, 1), ""), ("very good", 7, None, None), ("oo", 3, (1, 1), NO_EDGE),
    ("d very", 5, (1, 2), NO_EDGE), (" good ", 1, (1, 1), ""), ("\u200d", 0, None, NO_TOKEN)])
def test_alignment(text, start, span, note):
    context = "\u200da good very good"
    context = "a good very good" if text != "\u200d" else context
    pieces = reading().pieces(context)
    if span is None and note is None:
        span, note = (2, 3), ""
    assert context[start:start + len(text)] == text
    assert align_answer(pieces, Answer(text, start)) == (span, note)


def test_what_cannot_be_aligned_is_counted_shown_and_left_out():
    examples = [asked("\u200d a b", ("\u200d", 0), where="train.json, data[0] (id x)"),
                asked("a zebra", ("zeb", 2), where="train.json, data[1] (id y)"), asked("a b")]
    task = QuestionAnswering(reading(max_length=20), True)
    objective = FineTuningObjective(task, examples, examples, 3)
    lines = objective.describe()
    for note, where in ((NO_TOKEN, "(id x)"), (NO_EDGE, "(id y)")):
        at = [i for i, line in enumerate(lines) if f"1 {note}" in line]
        assert len(at) == 2 and where in lines[at[0] + 1], "in training and in dev"
    assert "questions in training: with an answer 2 (66.7%), without one 1 (33.3%)" in lines
    assert task.describe("dev", examples[2:]) == "questions in dev: without one 1 (100.0%)"
    rows = task.rows(examples)
    assert [row.label for row in rows] == [NO_LABEL, (6, 6), (0, 0)]
    batch = task.batch(rows)
    assert task.count(batch.labels) == 2
    outputs = small(task).eval()(**batch.inputs())
    losses = [logits.data[i] for logits in (outputs.start_logits, outputs.end_logits)
              for i in (1, 2)]
    expected = sum([np.log(np.exp(row).sum()) - row[place]
                    for row, place in zip(losses, (6, 0, 6, 0))]) / 2
    assert task.loss(outputs, batch.labels).item() == pytest.approx(expected)
    assert [example.endswith(words) for example, words in
            zip(map(task.show, rows), ("no label", "[UNK]", "[CLS]: no answer here"))] == [True] * 3


def test_no_answer_wins_where_it_scores_higher_by_the_threshold():
    example = asked("a b c")
    [row] = TASK.rows([example])
    scores = np.zeros((2, len(row)))
    scores[:, 0], scores[:, 6] = 1.5, 1.0  # [CLS], and "b"
    task = QuestionAnswering(TASK.reading, True)
    [found] = task.predictions([example], [row], [scores])
    assert found.text == "" and found.best.text == "b" and found.null_difference == 1.0
    for threshold, text in ((0.9, ""), (1.0, "b"), (1.1, "b")):
        task.null_threshold = threshold
        assert task.predictions([example], [row], [scores])[0].text == text
    always = QuestionAnswering(TASK.reading, False)
    assert always.predictions([example], [row], [scores])[0].text == "b"


def test_the_probability_is_among_the_best_spans_and_no_answer_where_it_may_be():
    example = asked("a b c")
    [row] = TASK.rows([example])
    scores = np.zeros((2, len(row)))
    scores[:, 0], scores[:, 6] = 1.5, 1.0  # [CLS], and "b"
    spans = np.exp([2, 1, 1, 0, 0, 0]).sum()  # "b"; "a b", "b c"; those without an edge at "b"
    for may_be_empty, p in ((True, np.exp(3) / (spans + np.exp(3))), (False, np.exp(2) / spans)):
        task = QuestionAnswering(TASK.reading, may_be_empty)
        [found] = task.predictions([example], [row], [scores])
        assert found.probability == pytest.approx(p)
    task = QuestionAnswering(TASK.reading, True, null_threshold=5.0)
    [found] = task.predictions([example], [row], [scores])
    assert found.probability == pytest.approx(np.exp(2) / (spans + np.exp(3)))  # of what is given


def test_a_span_in_two_windows_is_weighed_once():
    example = asked("a b c d e a b c d e a b c d e a", question="not good ?")
    rows = TASK.rows([example])
    scores = [np.zeros((2, len(row))) for row in rows]
    scores[0][:, 17] = scores[1][:, 7] = 20.0  # the same "c"
    [found] = QuestionAnswering(TASK.reading, False).predictions([example], rows, scores)
    assert found.answer == Answer("c", 24) and found.probability > 0.99


def test_figures_details_baseline_and_file():
    examples = [QuestionExample(str(i), "a ?", "Good a. Bad b.", answers) for i, answers in
                enumerate([(Answer("Good a", 0),), (), (Answer("b", 12), Answer("Bad b", 8))])]
    task = QuestionAnswering(reading(max_length=20), True)
    predictions = task.predict_baseline("first sentence", examples)
    assert [found.text for found in predictions] == ["Good a."] * 3
    figures = task.compute_metrics(examples, predictions)
    assert figures == {"exact_match": pytest.approx(1 / 3), "f1": pytest.approx(1 / 3)}
    assert task.fit_baseline(examples) == "no answer"
    guessed = task.predict_baseline("no answer", examples)
    assert task.compute_metrics(examples, guessed)["exact_match"] == pytest.approx(1 / 3)
    details = task.details(examples, guessed)
    assert details["per_class"] == {
        "all": {"exact_match": pytest.approx(1 / 3), "f1": pytest.approx(1 / 3), "support": 3},
        "with an answer": {"exact_match": 0.0, "f1": 0.0, "support": 2},
        "without one": {"exact_match": 1.0, "f1": 1.0, "support": 1}}
    assert details["best_null_threshold"]["f1"] == pytest.approx(1 / 3)
    # 0 and 2 were left unanswered, 0 with the right words, 2 with some of them
    withheld = [PredictedAnswer(None, Answer("Good a", 0), 0.5, 2.0),
                PredictedAnswer(None, Answer("b", 12), 0.5, 4.0),
                PredictedAnswer(None, Answer("Good a. Bad b", 0), 0.5, 3.0)]
    details = task.details(examples, withheld)
    assert details["best_null_threshold"] == {"threshold": 3.0,
                                              "f1": pytest.approx((1 + 1 + 0.8) / 3)}
    given = [PredictedAnswer(found.best, found.best, 0.5, 0.0) for found in withheld]
    assert task.compute_metrics(examples, given) == {
        "exact_match": pytest.approx(1 / 3), "f1": pytest.approx((1 + 0 + 0.8) / 3)}
    written = json.loads(task.format_predictions(examples, predictions))
    assert written == {"0": "Good a.", "1": "Good a.", "2": "Good a."}


PASSAGES = [("Su Shi was a poet. Su Shi came from Meishan, in Sichuan.",
             [("Where did Su Shi come from?", "Meishan"), ("What was Su Shi?", "a poet"),
              ("In which province is Meishan?", "Sichuan")]),
            ("苏轼（1037年—1101年），眉州眉山人，北宋文学家。",
             [("苏轼是哪里人？", "眉州眉山"), ("苏轼是什么家？", "文学家")]),
            ("  The \u201cÉcole\u201d of Zürich\topened\nin 1855, U.S. dollars:  5.5 million! " * 3,
             [("What opened?", "\u201cÉcole\u201d"), ("Where?", "Zürich"),
              ("When did it open?", "1855"), ("How many dollars?", "5.5 million")]),
            ("Nothing is said here.", [("Who?", None)])]


@pytest.mark.slow
def test_overfitting_a_handful_of_questions_gives_the_very_answers():
    examples = []
    for context, questions in PASSAGES:
        for question, answer in questions:
            answers = () if answer is None else (Answer(answer, context.index(answer)),)
            examples.append(QuestionExample(str(len(examples)), question, context, answers))
    tokenizer = BertTokenizer.train([e.passage + e.question for e in examples], 200)
    task = QuestionAnswering(type(TASK.reading)(tokenizer, 48, 8), True)
    config = bert_config(vocab_size=tokenizer.vocab_size, hidden_size=32, num_attention_heads=4,
                         intermediate_size=64, max_position_embeddings=48,
                         hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                         initializer_range=0.2)
    objective = FineTuningObjective(task, examples, examples, 8)
    assert len(objective.rows) > len(examples)
    trainer = Trainer(fresh_model(task, config), objective, TrainingSettings(
        steps=250, lr=5e-3, warmup=10, schedule="linear", eval_every=50, patience=4))
    trainer.run()
    assert trainer.best["exact_match"] == 1.0
    for example, found in zip(examples, predict(task, trainer.model, examples)):
        assert found.text == (example.answers[0].text if example.answers else "")
        if found.answer:
            start = found.answer.start
            assert example.passage.encode()[len(example.passage[:start].encode()):].startswith(
                found.text.encode())
