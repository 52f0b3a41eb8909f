"""SQuAD's JSON: answers that stand where they are said to, and the place of what is wrong."""

import json

import pytest
from tests.finetuning.files.test_sentence_files import fault, write

from minibert.finetuning.examples import Answer
from minibert.finetuning.files.questions import read_questions

CONTEXT = "Su Shi 苏轼 was born in Meishan. Meishan is near 𝔐."


def question(number=0, answers=((22, "Meishan"),), **more) -> dict:
    listed = [{"text": text, "answer_start": start} for start, text in answers]
    return {"id": f"q{number}", "question": "Where from?", "answers": listed, **more}


def squad(*questions: dict, context: str = CONTEXT) -> dict:
    other = {"context": "Else.", "qas": [question(99, ((0, "Else"),))]}
    return {"version": "2.0", "data": [{"title": "a", "paragraphs": [other]}, {
        "title": "b", "paragraphs": [other | {"qas": []}, {"context": context,
                                                           "qas": list(questions)}]}]}


def read(tmp_path, content: object, **more):
    return read_questions(write(tmp_path, "a.json", json.dumps(content)), **more)


def test_both_versions(tmp_path):
    examples = read(tmp_path, squad(
        question(1, ((22, "Meishan"), (31, "Meishan"), (7, "苏轼"))),
        question(2, (), is_impossible=True, plausible_answers=[{"text": "x", "answer_start": 99}]),
        question(3, ((47, "𝔐"),), is_impossible=False)))
    assert [e.id for e in examples] == ["q99", "q1", "q2", "q3"]
    assert examples[1].answers == (Answer("Meishan", 22), Answer("Meishan", 31),
                                   Answer("苏轼", 7))
    assert examples[2].answers == () and examples[2].passage == CONTEXT
    for example in examples:
        for answer in example.answers:
            assert example.passage[answer.start:].startswith(answer.text)
    assert examples[3].where == f"{tmp_path / 'a.json'}, data[1].paragraphs[1].qas[2] (id q3)"


def test_a_question_a_line(tmp_path):
    """As Hugging Face's data sets write SQuAD: the same questions."""
    lines = [{"id": f"q{i}", "title": "a", "context": CONTEXT, "question": "Where from?",
              "answers": {"text": texts, "answer_start": starts}}
             for i, (texts, starts) in enumerate([(["Meishan", "苏轼"], [22, 7]), ([], [])])]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    examples = read_questions(path)
    expected = read(tmp_path, squad(question(0, ((22, "Meishan"), (7, "苏轼"))),
                                    question(1, (), is_impossible=True)))[1:]
    assert [(e.id, e.question, e.passage, e.answers) for e in examples] == [
        (e.id, e.question, e.passage, e.answers) for e in expected]
    assert examples[1].where == f"{path}, line 2 (id q1)"
    assert read_questions(path, labelled=False)[0].answers is None


@pytest.mark.parametrize("change, words", [
    ({"answers": {"text": ["Meishan"], "answer_start": [21]}}, "it does at 22"),
    ({"answers": {"text": ["Meishan"], "answer_start": []}}, "two lists of one length"),
    ({"answers": {"text": "M", "answer_start": [22]}}, "two lists of one length"),
    ({"answers": {"text": ["Meishan"], "answer_start": 22}}, "two lists of one length"),
    ({"answers": None}, "answers is None"), ({"context": " "}, "the context is empty"),
    ({"id": "q0"}, "line 1 has the same id"), ({"id": None}, "the question has no id"),
])
def test_faults_of_a_line(tmp_path, change, words):
    line = {"id": "q0", "context": CONTEXT, "question": "Where from?",
            "answers": {"text": ["Meishan"], "answer_start": [22]}}
    lines = [line, line | {"id": "q1"} | change]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    message = fault(read_questions, path, strict=True)
    assert "a.jsonl, line 2" in message and words in message
    squads = write(tmp_path, "b.json", path.read_text())
    assert "call it .jsonl" in fault(read_questions, squads)


def test_without_answers(tmp_path):
    asked = {"id": 5, "question": "Who?"}
    [_, example] = read(tmp_path, squad(asked), labelled=False)
    assert example.answers is None and example.id == "5"
    assert "answers is None" in fault(read, tmp_path, squad(asked))
    empty = squad(question(1, ()))
    for content in (empty, squad(question(1, ((0, "wrong"),)))):
        assert read(tmp_path, content, labelled=False)[1].answers is None
    assert "is_impossible is false, but there are 0 answers" in fault(read, tmp_path, empty)


@pytest.mark.parametrize("wrong, words", [
    (question(1, ((23, "Meishan"),)), "answers[0]: 'Meishan' does not stand at answer_start 23 of "
                                      "the context; it does at 22"),
    (question(1, ((22, "Meishan"), (0, "Mozart"))), "answers[1]: 'Mozart' does not"),
    (question(1, ((0, "Mozart"),)), "nowhere in the context"),
    (question(1, ((1, "Su Shi"),)), "it does at 0"),
    (question(1, ((22 - len(CONTEXT), "Meishan"),)), "answer_start -27 of"),
    (question(1, (("x", "Meishan"),)), "answer_start is 'x'; expected a whole number"),
    (question(1, ((22, 5),)), "answers[0]: the text is 5; expected a part of the context"),
    (question(1, ((22, " "),)), "answers[0]: the text is ' '"),
    (question(1, is_impossible=True), "is_impossible is true, but there are 1 answers"),
    (question(1, is_impossible="no"), "is_impossible 'no'"),
    (question(1) | {"answers": "Meishan"}, "answers is 'Meishan'"),
    (question(1) | {"question": " "}, "the question is empty"),
    (question(99), "data[0].paragraphs[0].qas[0] has the same id"),
])
def test_faults_are_named_with_place_and_id(tmp_path, wrong, words):
    message = fault(read, tmp_path, squad(question(0), wrong), strict=True)
    assert f"a.json, data[1].paragraphs[1].qas[1] (id {wrong['id']})" in message
    assert words in message


def test_misplaced_answers_are_left_out_counted_and_shown(tmp_path):
    content = squad(question(0), question(1, ((23, "Meishan"),)),
                    question(2, ((22, "Meishan"), (0, "Mozart"))),
                    question(3, (), is_impossible=True))
    with pytest.warns(UserWarning) as caught:
        examples = read(tmp_path, content)
    assert [(e.id, e.answers) for e in examples] == [
        ("q99", (Answer("Else", 0),)), ("q0", (Answer("Meishan", 22),)),
        ("q2", (Answer("Meishan", 22),)), ("q3", ())]
    [message] = [str(warning.message) for warning in caught]
    assert message.endswith(
        "a.json: 2 answers do not stand at their answer_start: they are left out, and 1 questions "
        "that have no other; the first: 'Meishan' does not stand at answer_start 23 of the "
        "context; it does at 22 (data[1].paragraphs[1].qas[1] (id q1).answers[0], "
        "data[1].paragraphs[1].qas[2] (id q2).answers[1])")
    assert len(read(tmp_path, content, labelled=False)) == 5


def test_nothing_is_left_if_all_answers_are_misplaced(tmp_path):
    lines = [{"id": f"q{i}", "context": "a b", "question": "what?",
              "answers": {"text": ["b"], "answer_start": [i]}} for i in range(2)]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    message = fault(read_questions, path)
    assert "'b' does not stand at answer_start 0 of the context; it does at 2" in message
    assert "line 2 (id q1).answers[0]: 'b' does not stand at answer_start 1" in message


def test_all_faults_are_told_together(tmp_path):
    content = squad(question(0), *[question(i) | {"question": " "} for i in range(1, 9)],
                    question(0), question(10, is_impossible=True))
    content["data"] += [3, {"paragraphs": [{"context": "", "qas": []}, {"context": "a"}]}]
    message = fault(read, tmp_path, content)
    place = "data[1].paragraphs[1].qas"
    assert message.startswith(f"{tmp_path / 'a.json'}, {place}[1] (id q1): the question is empty; "
                              "write a text, or take the example out (so it is in ")
    assert f"{place}[6] (id q6) and 2 more, too); {place}[9] (id q0): " in message
    assert "has the same id" in message and "[10] (id q10): is_impossible is true" in message
    assert "; data[2]: there is no list 'paragraphs'" in message
    assert "data[3].paragraphs[0]: the context is empty" in message
    assert message.endswith("; and 1 more faults")


@pytest.mark.parametrize("content, words", [
    ([], "no list 'data'"), ({"data": {}}, "no list 'data'"),
    ({"data": [{}]}, "a.json, data[0]: there is no list 'paragraphs'"),
    ({"data": [{"paragraphs": [{"qas": []}]}]}, "data[0].paragraphs[0]: the context is None"),
    ({"data": [{"paragraphs": [{"context": "a"}]}]}, "paragraphs[0]: there is no list 'qas'"),
    ({"data": [{"paragraphs": [{"context": " ", "qas": []}]}]}, "the context is empty; write"),
    ({"data": [{"paragraphs": [3]}]}, "data[0].paragraphs[0]: there is no list 'qas'"),
    ({"data": [{"paragraphs": [{"context": "a\ud83d", "qas": []}]}]},
     "half a character in it (a lone surrogate, '\\ud83d')"),
    ({"data": [{"paragraphs": [{"context": "a", "qas": [3]}]}]}, "qas[0]: the question has no id"),
    ({"data": []}, "there is no question"),
])
def test_other_layouts(tmp_path, content, words):
    assert words in fault(read, tmp_path, content)


def test_no_json(tmp_path):
    path = write(tmp_path, "a.json", '{"data": [\n')
    assert "this is no JSON" in fault(read_questions, path) and "line 2" in fault(read_questions,
                                                                                  path)
