"""Words with tags in columns: BIO and BIO2, documents, ragged lines, broken sequences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetuning.files.test_sentence_files import fault, write

from minibert.finetuning.entity_metrics import get_entities
from minibert.finetuning.files.records import Columns
from minibert.finetuning.files.tags import read_tags

ENTITIES = st.lists(st.tuples(st.sampled_from([None, "PER", "LOC", "X-Y"]), st.integers(1, 3)),
                    min_size=1, max_size=6)


def in_bio2(chunks) -> list[str]:
    """Chunks (type or None, length) as tags, by the definition of BIO2."""
    tags = []
    for kind, length in chunks:
        tags += ["O"] * length if kind is None else [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
    return tags


def in_iob1(chunks) -> list[str]:
    """The same by the definition of BIO: B- only right after another entity of the type."""
    tags, before = [], None
    for kind, length in chunks:
        if kind is None:
            tags += ["O"] * length
        else:
            tags += [f"{'B' if kind == before else 'I'}-{kind}"] + [f"I-{kind}"] * (length - 1)
        before = kind
    return tags


def columns(sentences: list[list[str]], joint: str = " ") -> str:
    return "\n".join("".join(f"w{i}{joint}{tag}\n" for i, tag in enumerate(tags))
                     for tags in sentences)


@given(sentences=st.lists(ENTITIES, min_size=1, max_size=4), joint=st.sampled_from([" ", "\t",
                                                                                    " NN  I-NP\t"]))
def test_both_schemes_are_read_as_the_same_entities(tmp_path_factory, sentences, joint):
    folder = tmp_path_factory.mktemp("tags")
    for scheme in (in_bio2, in_iob1):
        tags = [scheme(chunks) for chunks in sentences]
        examples = read_tags(write(folder, "a.txt", columns(tags, joint)))
        assert [list(example.tags) for example in examples] == list(map(in_bio2, sentences))
        assert [len(e.words) for e in examples] == list(map(len, tags))


def test_conll_2003(tmp_path):
    path = write(tmp_path, "a.txt", "\ufeff-DOCSTART- -X- -X- O\r\n\r\nEU NNP I-NP I-ORG\r\n"
                 "rejects VBZ I-VP O\r\n \r\n\r\nPeter NNP I-NP I-PER\r\n-DOCSTART- -X- O O\r\n"
                 "Rome NNP I-NP I-LOC\r\nParis NNP I-NP B-LOC")
    examples = read_tags(path)
    assert [(e.words, e.tags) for e in examples] == [
        (("EU", "rejects"), ("B-ORG", "O")), (("Peter",), ("B-PER",)),
        (("Rome", "Paris"), ("B-LOC", "B-LOC"))]
    assert [e.where for e in examples] == [f"{path}, line {n}" for n in (3, 7, 9)]


def test_words_that_are_blanks_elsewhere_are_words(tmp_path):
    path = write(tmp_path, "a.txt", "苏\tB-PER\n轼\tI-PER\n\u3000\tO\n\xa0\tO\n")
    [example] = read_tags(path)
    assert example.words == ("苏", "轼", "\u3000", "\xa0")


def test_words_with_blanks_stand_between_tabs(tmp_path):
    """As in WNUT-17, where a hash mark is a word, and a line with one tab is blank."""
    path = write(tmp_path, "a.conll", "New York\tB-LOC\n#now\tO\n#\tO\n\t\n10 000\tO\n")
    assert [e.words for e in read_tags(path)] == [("New York", "#now", "#"), ("10 000",)]
    cities = write(tmp_path, "c.conll", "New York\tB-LOC\nis\tO\n")
    assert read_tags(cities)[0].words == ("New York", "is")
    ragged = write(tmp_path, "b.conll", "New York\tB-LOC\nis O\n")
    assert "line 2: 2 columns, but" in fault(read_tags, ragged)


GERM_EVAL = ("#\thttp://de.wikipedia.org/wiki/X [2009-10-17]\n1\tDie\tO\tO\n2\tUni\tB-ORG\tO\n"
             "3\tBonn\tI-ORG\tB-LOC\n\n# more\n1\t#\tO\tO\n")
CONLL_U = ("# text = Haus\n1-2\tIm\t_\t_\n1\tIn\tin\tADP\n2\tdem\tder\tDET\n"
           "3\tHaus\tHaus\tNOUN\n3.1\tist\tsein\tAUX\n")


def test_columns_by_number_and_comments(tmp_path):
    path = write(tmp_path, "a.tsv", GERM_EVAL)
    for tag_column, tags in (("3", ("O", "B-ORG", "I-ORG")), (None, ("O", "O", "B-LOC"))):
        first, second = read_tags(path, Columns("2", None, tag_column))
        assert (first.words, first.tags) == (("Die", "Uni", "Bonn"), tags)
        assert (second.words, second.where) == (("#",), f"{path}, line 7")
    universal = write(tmp_path, "a.conllu", CONLL_U)
    [example] = read_tags(universal, Columns("2", None, "4"))
    assert (example.words, example.tags) == (("In", "dem", "Haus"), ("ADP", "DET", "NOUN"))
    assert read_tags(universal, Columns("2"), labelled=False)[0].words == example.words


@pytest.mark.parametrize("more, words", [
    ((Columns(), True), "line 2: the first column counts the words"),
    ((Columns(), False), "line 2: the first column counts the words"),
    ((Columns("5"),), "--text-column is '5'; the columns of this file have no names: expected a "
                      "number from 1 to 4"),
    ((Columns("word"),), "--text-column is 'word'"),
    ((Columns("2", None, "0"),), "--label-column is '0'"),
])
def test_columns_that_cannot_be(tmp_path, more, words):
    assert words in fault(read_tags, write(tmp_path, "a.tsv", GERM_EVAL), *more)


def test_numbers_may_be_words(tmp_path):
    assert read_tags(write(tmp_path, "a.txt", "1 O\nkilo O\n"))[0].words == ("1", "kilo")
    assert read_tags(write(tmp_path, "a.txt", "kilo O\n2 O\n"))[0].words == ("kilo", "2")
    assert read_tags(write(tmp_path, "a.txt", "3-4 O\ngoals O\n"))[0].words == ("3-4", "goals")
    path = write(tmp_path, "b.txt", "1\n2\n")
    assert read_tags(path, labelled=False)[0].words == ("1", "2")


def test_parts_of_speech_are_taken_as_they_are(tmp_path):
    [example] = read_tags(write(tmp_path, "a.txt", "the DT\nS-bahn NN\n"))
    assert example.tags == ("DT", "NN")


def test_words_alone(tmp_path):
    path = write(tmp_path, "a.txt", "EU\nrejects\n\nPeter\n")
    assert [e.words for e in read_tags(path, labelled=False)] == [("EU", "rejects"), ("Peter",)]
    assert read_tags(path, labelled=False)[0].tags is None
    assert "line 1: the word 'EU' has no tag" in fault(read_tags, path)
    tagged = write(tmp_path, "b.txt", "EU X B-ORG\nsaid X I-PER\n")
    assert read_tags(tagged, labelled=False)[0].words == ("EU", "said")


@pytest.mark.parametrize("content, words", [
    ("a O\nb\n", "line 2: 1 columns, but"),
    ("a X O\n\nb X O\nc O\n", "line 4: 2 columns, but"),
    ("a B-PER\nb B\n", "line 2: the tag 'B' is neither"),
    ("a X-PER\nb I-PER\n\nc Y\nd X-PER\n", "line 1: the tag 'X-PER' is neither O nor B-type nor I-"
     "type: other schemes (BIOES, BILOU) must be turned into BIO2 (so it is in line 5, too); line "
     "4: the tag 'Y'"),
    ("a O\nb O O\n\nc O O\n", "line 2: 3 columns, but"),
    ("a O\nb O O\n\nc O O\n", "sentences (so it is in line 4, too)"),
    ("a B-PER\nb E-PER\n", "line 2: the tag 'E-PER' is neither"),
    ("a B-PER\nb B-\n", "line 2: the tag 'B-' is neither"),
    ("a B-PER\nb o\n", "line 2: the tag 'o' is neither"),
    ("-DOCSTART- O\n\n", "no sentence"),
    (" \n", "empty"),
])
def test_faults_are_named_with_their_line(tmp_path, content, words):
    assert words in fault(read_tags, write(tmp_path, "a.txt", content))


@pytest.mark.parametrize("content, tags, lines", [
    ("a B-PER\nb O\nc I-LOC\nd B-LOC\n", "B-PER O B-LOC B-LOC", "line 3"),
    ("a B-PER\nb I-LOC\nc I-LOC\n", "B-PER B-LOC I-LOC", "line 2"),
    ("a I-PER\nb O\nc I-LOC\nd O\ne B-LOC\n", "B-PER O B-LOC O B-LOC", "line 1, line 3"),
    ("a B\nb I\nc O\nd I\n", "B I O B", "line 4"),
])
def test_a_stray_i_begins_an_entity_and_is_counted(tmp_path, content, tags, lines):
    """As conlleval, seqeval and our own entities of predictions have it."""
    path = write(tmp_path, "a.txt", content)
    count = lines.count("line")
    with pytest.warns(UserWarning, match=rf"{count} entities begin with I- where BIO2 writes B-: "
                                         rf"they are read so, .*\({lines}\)"):
        [example] = read_tags(path)
    assert example.tags == tuple(tags.split())
    given = [line.split()[1] for line in content.splitlines()]
    assert get_entities(example.tags) == get_entities(given)
    assert lines in fault(read_tags, path, strict=True)


@pytest.mark.parametrize("content, tags", [
    ("a B\nb I\nc O\nd B\n", "B I O B"), ("a I\nb I\nc O\n", "B I O"), ("a I\nb B\n", "B B"),
    ("a B\nb NN\n", "B NN"), ("a O\nb O\n", "O O"), ("a I\nb E\n", "I E"), ("a B\n", "B")])
def test_tags_without_a_type_are_entities_if_there_are_no_others(tmp_path, content, tags, recwarn):
    assert read_tags(write(tmp_path, "a.txt", content))[0].tags == tuple(tags.split())
    assert len(recwarn) == 0


@pytest.mark.parametrize("end", ["\r", "\r\r\n", "\r\n", "\n"])
def test_line_ends_of_every_kind(tmp_path, end):
    path = write(tmp_path, "a.conll", end.join(["EU B-ORG", "is O", "", "Peter B-PER", ""]))
    assert [(e.words, e.tags) for e in read_tags(path)] == [
        (("EU", "is"), ("B-ORG", "O")), (("Peter",), ("B-PER",))]
    words = write(tmp_path, "a.txt", end.join(["EU\u2028", "is", "", "Peter"]))
    assert [e.words for e in read_tags(words, labelled=False)] == [("EU\u2028", "is"), ("Peter",)]


# ---- a JSON object a line ------------------------------------------------------------------------


def test_sentences_in_json(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 7, "tokens": ["New York", "is"], "ner_tags": '
                 '["I-LOC", "O"]}\n\n{"tokens": ["Ann"], "ner_tags": ["I-PER"]}\n')
    examples = read_tags(path)
    assert [(e.words, e.tags) for e in examples] == [(("New York", "is"), ("B-LOC", "O")),
                                                     (("Ann",), ("B-PER",))]
    assert [e.where for e in examples] == [f"{path}, line {n}" for n in (1, 3)]
    assert [e.tags for e in read_tags(path, labelled=False)] == [None, None]


def test_lists_in_json_by_name(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"tokens": ["a"], "form": ["b"], "tags": ["O"], "pos": '
                 '["NN"]}')
    example, = read_tags(path, Columns("form", None, "pos"))
    assert (example.words, example.tags) == (("b",), ("NN",))


@pytest.mark.parametrize("content, words", [
    ('{"tokens": ["a"], "ner_tags": [3]}', "3 in 'ner_tags' is no text"),
    ('{"tokens": ["a", "b"], "ner_tags": ["O"]}', "2 words, but 1 tags"),
    ('{"tokens": ["a", " "], "ner_tags": ["O", "O"]}', "' ' in 'tokens' is no text"),
    ('{"tokens": [], "ner_tags": ["O"]}', "0 words, but 1 tags"),
    ('{"tokens": "a", "ner_tags": ["O"]}', "no list 'tokens'"),
    ('{"words": ["a"], "ner": ["O"]}', "no list 'ner_tags'; the names are ['words', 'ner']: "
                                       "say which with --label-column"),
])
def test_faults_in_json(tmp_path, content, words):
    path = write(tmp_path, "a.jsonl", '{"words": ["a"], "ner_tags": ["O"]}\n' + content)
    assert f"{path}, line 2: " in fault(read_tags, path)
    assert words in fault(read_tags, path)


def test_sentences_without_words_are_passed_over_and_counted(tmp_path):
    empty = '{"tokens": [], "ner_tags": []}\n'
    path = write(tmp_path, "a.jsonl", empty + '{"tokens": ["a"], "ner_tags": ["O"]}\n' + empty)
    for labelled in (True, False):
        with pytest.warns(UserWarning, match=r"2 of 3 sentences have no .*\(line 1, line 3\)"):
            [example] = read_tags(path, labelled=labelled)
        assert (example.words, example.where) == (("a",), f"{path}, line 2")
    assert "--strict" in fault(read_tags, path, strict=True)
    with pytest.warns(UserWarning, match="1 of 1"):
        assert "there is no sentence" in fault(read_tags, write(tmp_path, "b.jsonl", empty))
