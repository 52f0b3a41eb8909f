"""What is written is read back as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning import hand_examples
from minibert.finetuning.examples import (Answer, ChoiceExample, QuestionExample, SentenceExample,
                                          TagExample)
from minibert.finetuning.files.choices import read_choices, write_choices
from minibert.finetuning.files.questions import read_questions, write_questions
from minibert.finetuning.files.sentences import read_sentences, write_sentences
from minibert.finetuning.files.tags import read_tags, write_tags

letters = st.text("ab \"',é中。", min_size=1, max_size=8).filter(lambda text: text.strip() == text)
words = st.text("ab\"',é中。", min_size=1, max_size=5)


def without_place(examples):
    """The examples as if nobody had read them from a file."""
    return [type(example)(**{**vars(example), "where": ""}) for example in examples]


def round_trip(folder, name, write, read, examples, **options):
    path = folder / name
    write(path, examples)
    assert without_place(read(path, **options)) == list(examples)


@given(st.lists(st.tuples(letters, letters, words), min_size=1, max_size=4))
def test_sentences_and_pairs(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("sentences")
    one = [SentenceExample(text, None, label) for text, _, label in rows]
    two = [SentenceExample(text, pair, label) for text, pair, label in rows]
    round_trip(folder, "one.tsv", write_sentences, read_sentences, one)
    round_trip(folder, "two.tsv", write_sentences, read_sentences, two, pairs=True)
    unknown = [SentenceExample(text) for text, _, _ in rows]
    round_trip(folder, "none.tsv", write_sentences, read_sentences, unknown, labelled=False)


@given(st.lists(st.tuples(letters, st.lists(letters, min_size=3, max_size=3), st.integers(0, 2)),
                min_size=1, max_size=4))
def test_choices(tmp_path_factory, rows):
    examples = [ChoiceExample(context, "so", tuple(endings), label)
                for context, endings, label in rows]
    round_trip(tmp_path_factory.mktemp("choices"), "a.csv", write_choices, read_choices, examples)


@given(st.lists(st.lists(st.tuples(words, st.sampled_from(("O", "B-X", "B-YZ"))), min_size=1,
                         max_size=4), min_size=1, max_size=4))
def test_tags(tmp_path_factory, sentences):
    examples = [TagExample(tuple(word for word, _ in sentence), tuple(tag for _, tag in sentence))
                for sentence in sentences]
    round_trip(tmp_path_factory.mktemp("tags"), "a.conll", write_tags, read_tags, examples)


@given(st.lists(st.tuples(letters, letters, st.integers(0, 7)), min_size=1, max_size=4,
                unique_by=lambda row: row[0]))
def test_questions(tmp_path_factory, rows):
    examples = []
    for number, (context, question, start) in enumerate(rows):
        text = context[min(start, len(context) - 1):].strip()
        answers = (Answer(text, context.index(text)),) if number % 2 == 0 else ()
        examples.append(QuestionExample(str(number), question, context, answers))
    round_trip(tmp_path_factory.mktemp("questions"), "a.json", write_questions, read_questions,
               examples)


def test_an_answer_keeps_its_place_and_its_characters(tmp_path):
    examples = [QuestionExample("1", "谁？", "a a", (Answer("a", 2), Answer("a", 0)))]
    round_trip(tmp_path, "a.json", write_questions, read_questions, examples)
    assert "谁？" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_one_pair_is_enough_for_a_column_of_second_texts(tmp_path):
    write_sentences(tmp_path / "a.tsv", [SentenceExample("a", None, "x"),
                                         SentenceExample("b", "c", "x")])
    assert (tmp_path / "a.tsv").read_text() == "text\ttext_pair\tlabel\na\t\tx\nb\tc\tx\n"


def test_a_question_to_be_predicted_is_none_without_an_answer(tmp_path):
    examples = [QuestionExample("1", "who?", "a bc"), QuestionExample("2", "how?", "a bc", ())]
    write_questions(tmp_path / "a.json", examples)
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    [paragraph] = content["data"][0]["paragraphs"]
    assert [question["is_impossible"] for question in paragraph["qas"]] == [False, True]
    read_back = read_questions(tmp_path / "a.json", labelled=False)
    assert [example.question for example in read_back] == ["who?", "how?"]


def test_the_hand_examples_go_to_files_and_back(tmp_path):
    round_trip(tmp_path, "a.tsv", write_sentences, read_sentences, hand_examples.SENTENCES)
    round_trip(tmp_path, "b.tsv", write_sentences, read_sentences, hand_examples.PAIRS, pairs=True)
    round_trip(tmp_path, "c.csv", write_choices, read_choices, hand_examples.CHOICES)
    round_trip(tmp_path, "d.conll", write_tags, read_tags, hand_examples.TAGGED)
    round_trip(tmp_path, "e.json", write_questions, read_questions, hand_examples.QUESTIONS)


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\rb"])
def test_what_a_line_cannot_hold_is_refused_and_nothing_written(tmp_path, text):
    examples = [SentenceExample("good", None, "x"), SentenceExample(text, None, "x")]
    with pytest.raises(InputError, match="a.tsv, line 3: a text has a tab or a line break"):
        write_sentences(tmp_path / "a.tsv", examples)
    assert list(tmp_path.iterdir()) == []
