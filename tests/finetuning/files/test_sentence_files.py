"""Sentences and pairs from TSV, CSV and JSONL: what is read, and what is said of what is wrong."""

import csv
import io
import json
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning.files.records import Columns
from minibert.finetuning.files.sentences import read_sentences

# No blank texts, no line breaks for TSV, no half characters, no zero bytes.
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
               min_size=1, max_size=20).filter(str.strip)
PLAIN_TEXT = TEXT.map(lambda text: re.sub("[\t\n\r]", "_", text))


def write(tmp_path, name: str, content: str | bytes):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def fault(read, *arguments, **more) -> str:
    with pytest.raises(InputError) as caught:
        read(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(rows=st.lists(st.tuples(TEXT, TEXT, PLAIN_TEXT), min_size=1, max_size=5),
       end=st.sampled_from(["\n", "\r\n"]), quoting=st.sampled_from([csv.QUOTE_ALL,
                                                                     csv.QUOTE_MINIMAL]))
def test_a_csv_file_gives_back_what_csv_wrote(tmp_path_factory, rows, end, quoting):
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=end, quoting=quoting)
    writer.writerows([("sentence1", "sentence2", "label"), *rows])
    path = write(tmp_path_factory.mktemp("csv"), "a.csv", stream.getvalue())
    examples = read_sentences(path, pairs=True)
    assert [(e.text, e.text_pair, e.label) for e in examples] == rows
    lines = [int(example.where.rsplit(" ", 1)[1]) for example in examples]
    assert lines[0] == 2 and lines == sorted(set(lines))


@given(rows=st.lists(st.tuples(PLAIN_TEXT, PLAIN_TEXT), min_size=1, max_size=5),
       end=st.sampled_from(["\n", "\r\n"]), blank=st.booleans(), mark=st.booleans())
def test_a_tsv_file_takes_every_character_but_tab_and_line_break(tmp_path_factory, rows, end,
                                                                 blank, mark):
    lines = ["sentence\tlabel", *map("\t".join, rows), *([""] if blank else [])]
    content = ("\ufeff" if mark else "") + end.join(lines) + end
    path = write(tmp_path_factory.mktemp("tsv"), "a.tsv", content)
    assert [(e.text, e.label) for e in read_sentences(path)] == rows


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), readable=st.booleans())
def test_jsonl_gives_back_what_json_wrote(tmp_path_factory, rows, readable):
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=not readable)
             for text, label in rows]
    path = write(tmp_path_factory.mktemp("jsonl"), "a.jsonl", "\n".join(lines))
    assert [(e.text, e.label) for e in read_sentences(path)] == rows


@pytest.mark.parametrize("header, pairs, expected", [
    ("sentence\tlabel", False, ("a", None, "b")),
    ("label\treview", False, ("b", None, "a")),
    ("premise\thypothesis\tgold_label", True, ("a", "b", "c")),
    ("question\tsentence\tlabel", True, ("a", "b", "c")),
    ("index\tquestion1\tquestion2\tis_duplicate", True, ("b", "c", "d")),
    ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", True, ("d", "e", "a")),
    ("sentence1\tsentence2\tlabel1\tgold_label", True, ("a", "b", "d")),
    ("review\tsentiment", False, ("a", None, "b")),
    ("label\ttext_a\ttext_b", True, ("b", "c", "a"))])
def test_the_headers_of_glue(tmp_path, header, pairs, expected):
    cells = "abcde"[:header.count("\t") + 1]
    path = write(tmp_path, "a.tsv", header + "\n" + "\t".join(cells) + "\n")
    [example] = read_sentences(path, pairs=pairs)
    assert (example.text, example.text_pair, example.label) == expected


def test_columns_by_name_and_by_number(tmp_path):
    path = write(tmp_path, "a.csv", "said,by,mood\nhello,me,good\n")
    [example] = read_sentences(path, Columns("said", None, "mood"))
    assert (example.text, example.label) == ("hello", "good")
    cola = write(tmp_path, "cola.tsv", "gj04\t1\t\tHe ran.\ngj04\t0\t*\tRan he.\n")
    examples = read_sentences(cola, Columns("4", None, "2"))
    assert [(e.text, e.label) for e in examples] == [("He ran.", "1"), ("Ran he.", "0")]
    assert examples[1].where == f"{cola}, line 2"
    named = write(tmp_path, "b.csv", "said,2\nhello,good\n")  # one number alone is a name
    [example] = read_sentences(named, Columns("said", None, "2"))
    assert (example.text, example.label) == ("hello", "good")
    glue = write(tmp_path, "c.tsv", "sentence1\tother\tsentence2\tlabel\na\tb\tc\td\n")
    [example] = read_sentences(glue, Columns(pair="other"), pairs=True)
    assert (example.text, example.text_pair) == ("a", "b"), "what is given goes before the usual"
    assert "no column is called 'said'" in fault(read_sentences, glue, Columns("said"), pairs=True)
    [other] = read_sentences(path, Columns("by", "said", "mood"), pairs=True)
    assert (other.text, other.text_pair) == ("me", "hello")


def test_a_test_file_may_have_names_where_the_training_file_has_none(tmp_path):
    """CoLA's: what the label's column is called does not count where no label is read."""
    named = write(tmp_path, "a.tsv", "index\tsentence\n0\tHe ran.\n")
    counted = write(tmp_path, "b.tsv", "0\tHe ran.\n")
    for path, text, label in ((named, "sentence", "2"), (counted, "2", "label")):
        [example] = read_sentences(path, Columns(text, None, label), labelled=False)
        assert example.text == "He ran."


def test_what_the_annotators_did_not_agree_on_is_left_out_and_counted(tmp_path):
    path = write(tmp_path, "a.tsv", "sentence1\tsentence2\tgold_label\na\tb\t-\nc\td\tneutral\n")
    with pytest.warns(UserWarning, match="1 of 2 examples are left out"):
        [example] = read_sentences(path, pairs=True)
    assert (example.text, example.where) == ("c", f"{path}, line 3")
    assert "refused because of --strict" in fault(read_sentences, path, pairs=True, strict=True)
    assert len(read_sentences(path, pairs=True, labelled=False)) == 2
    none = write(tmp_path, "b.tsv", "sentence1\tsentence2\tgold_label\na\tb\t-\n")
    assert "on every line" in fault(read_sentences, none, pairs=True)
    minus = write(tmp_path, "c.tsv", "text\tlabel\na\t-\nb\t+\n")  # a class as any other
    assert [e.label for e in read_sentences(minus)] == ["-", "+"]


def test_a_novel_fits_into_a_field(tmp_path):
    path = write(tmp_path, "a.csv", f'text,label\n"{"word, " * 40_000}",x\n')
    assert len(read_sentences(path)[0].text) == 240_000


def test_yes_and_no_are_classes(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"question": "a", "passage": "b", "label": true}\n')
    assert read_sentences(path, pairs=True)[0].label == "true"
    assert "the label ('label') is True" in fault(read_sentences, path, pairs=True, numbers=True)


def test_numbers_and_missing_labels(tmp_path):
    path = write(tmp_path, "a.tsv", "sentence1\tsentence2\tscore\na\tb\t4.25\nc\td\t-1e-3\n")
    assert [e.label for e in read_sentences(path, pairs=True, numbers=True)] == [4.25, -1e-3]
    test = write(tmp_path, "test.tsv", "index\tsentence\n0\tfine\n")
    assert read_sentences(test, labelled=False)[0].label is None
    some = write(tmp_path, "some.jsonl", '{"text": "a", "label": 3}\n\n{"text": "b"}\n')
    assert [e.label for e in read_sentences(some, labelled=False)] == [None, None]
    assert "some.jsonl, line 3: the label ('label') is empty" in fault(read_sentences, some)
    zero = write(tmp_path, "zero.jsonl", '{"text": "a", "label": 0}\n')  # which is not empty
    assert read_sentences(zero)[0].label == "0" and read_sentences(zero, numbers=True)[0].label == 0


@pytest.mark.parametrize("name, content, words", [
    ("a.txt", "text\n", "ending '.txt' does not say how to read it: rename the file to .tsv"),
    ("a.tsv", "", "empty"),
    ("a.tsv", b"\xff\xfea\x00", "UTF-16"),
    ("a.tsv", "caf\xe9\n".encode("latin-1"), "UTF-8"),
    ("a.tsv", "sentence\tlabel\n", "no line after the names"),
    ("a.tsv", "sentence\tlabel\nfine\n", "line 2: 1 fields, but the first line has 2"),
    ("a.tsv", "sentence\tlabel\na\tb\n\nfine\tx\ty\n", "line 4: 3 fields"),
    ("a.tsv", "sentence\tlabel\na\nb\tc\n" + "d\n" * 7,
     "(so it is in line 4, line 5, line 6, line 7, line 8 and 2 more, too)"),
    ("a.csv", "text;label\na, b;c\n", "line 2: 2 fields, but the first line has 1; write as many,"
     " empty ones included, or take the line out; only one column was found: its name has "
     "semicolons: write commas (.csv) or tabs (.tsv)"),
    ("a.csv", "text\tlabel\na\tc\n", "only one column was found: its name has tabs: rename the"),
    ("a.tsv", "text,label\na,c\n", "one column was found: its name has commas: rename the file"),
    ("a.tsv", "sentence\na\n", "there are tabs between those of a .tsv, commas in a .csv"),
    ("a.tsv", "a\tb\ta\tb\nc\td\te\tf\n", "line 1: two columns are called 'a'"),
    ("a.tsv", "sentence\tsentence\tlabel\na\tb\tc\n", "line 1: two columns are called 'sentence'"),
    ("a.tsv", "said\tlabel\na\tb\n", "there are 'said', 'label'; name the right one with --text"),
    ("a.tsv", "sentence\tmood\na\tb\n", "--label-column"),
    ("a.tsv", "sentence\tlabel\n \tb\n", "line 2: 'sentence' is empty"),
    ("a.tsv", "sentence\tlabel\na\tb\nb\t\n", "line 3: the label ('label') is empty"),
    ("a.csv", 'sentence,label\n"a\nb",x\n"never closed,y\n', "line 4: unexpected end of data"),
    ("a.csv", 'sentence,label\n"a" b,x\n', "line 2"),
    ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', "line 2: this is no JSON"),
    ("a.jsonl", '["a", "b"]\n', "line 1: expected a JSON object, found list"),
    ("a.jsonl", '{"text": 3, "label": "b"}\n', "line 1: 'text' is 3; expected a text"),
    ("a.jsonl", '{"text": "a", "label": 0.5}\n', "line 1: the label ('label') is 0.5"),
    ("a.jsonl", '{"text": ' + "[" * 100_000, "line 1: this is no JSON"),
])
def test_faults_are_named_with_their_line(tmp_path, name, content, words):
    assert words in fault(read_sentences, write(tmp_path, name, content))


QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
ROW = "5\t6\t7\twho?\twhere?\t1\n"


@pytest.mark.parametrize("broken, lines", [
    ('7\t7\t7\twas he real? "\n"\twas he a figure?\t0\n', 2),  # in the first question
    ("7\t7\t7\twas he?\twas\nhe?\t0\n", 2), ("7\t7\t7\twas\n\nhe\n?\twas he?\t0\n", 3),
    ("7\t7\t7\twas\nhe\twas he\n?\t0\n", 3),  # in both
])
def test_rows_that_a_line_break_cut_are_passed_over_and_counted(tmp_path, broken, lines):
    """As in GLUE's QQP, whose readers leave them out, too."""
    path = write(tmp_path, "a.tsv", QQP + ROW + broken + ROW + broken)
    with pytest.warns(UserWarning, match=rf": {2 * lines} lines are parts of rows .* \(line 3, "):
        examples = read_sentences(path, pairs=True)
    assert [(e.text, e.text_pair, e.label) for e in examples] == [("who?", "where?", "1")] * 2
    assert "line 3" in fault(read_sentences, path, pairs=True, strict=True)
    with pytest.warns(UserWarning, match="parts of rows"):
        assert "no line after" in fault(read_sentences, write(tmp_path, "b.tsv", QQP + broken),
                                        pairs=True)


@pytest.mark.parametrize("rows, line", [
    ("7\t7\t7\twas he?\n", 3), ("7\t7\twas he?\n" + ROW + "a\tb\tc\td\n", 3),
    ("7\t7\t7\twas\the\n7\t7\t7\twas\n", 3), ("7\t7\t7\twas\the\t1\t2\n", 3),
    ("a\tb\tc\td\te\n7\t7\t7\twas\nhe?\twas he?\t0\n", 3)])  # a short row before a broken one
def test_other_short_and_long_rows_are_refused(tmp_path, rows, line):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the broken row after the short one
        message = fault(read_sentences, write(tmp_path, "a.tsv", QQP + ROW + rows), pairs=True)
    assert f"line {line}: {rows.splitlines()[0].count(chr(9)) + 1} fields" in message
    assert "line 4" not in message or "a\tb" not in rows


def test_an_empty_text_of_a_pair_is_a_text_and_counted(tmp_path):
    path = write(tmp_path, "a.tsv", QQP + ROW + "8\t8\t8\t\thow?\t0\n8\t8\t8\thow?\t \t0\n")
    with pytest.warns(UserWarning, match=r"of 2 of 3 pairs one text is empty.*\(line 3, line 4\)"):
        examples = read_sentences(path, pairs=True)
    assert [(e.text, e.text_pair) for e in examples[1:]] == [("", "how?"), ("how?", " ")]
    assert "line 3, line 4" in fault(read_sentences, path, pairs=True, strict=True)
    both = write(tmp_path, "b.tsv", QQP + ROW + "8\t8\t8\t\t\t0\n")
    assert "line 3: 'question2' is empty" in fault(read_sentences, both, pairs=True)


def test_all_faults_of_a_file_are_told_together(tmp_path):
    lines = [f"t{i}\tneg" if i not in (3, 50, 90) else "\tpos" for i in range(100)]
    path = write(tmp_path, "a.tsv", "\n".join(["sentence\tlabel", *lines, "a\t", "b\t"]))
    assert fault(read_sentences, path) == (
        f"{path}, line 5: 'sentence' is empty; write a text, or take the example out (so it is in "
        "line 52, line 92, too); line 102: the label ('label') is empty; write one, or take the "
        "line out (so it is in line 103, too)")
    path = write(tmp_path, "a.jsonl", "".join(f'{{"text": {i}, "label": 0}}\n' for i in range(9)))
    message = fault(read_sentences, path)
    assert "line 5: 'text' is 4; expected a text; and 4 more faults" in message
    broken = write(tmp_path, "b.jsonl", "{\n[]\n{\n")
    assert "is in line 3, too); line 2: expected a JSON object" in fault(read_sentences, broken)


@pytest.mark.parametrize("end", ["\r", "\r\r\n", "\r\n"])
def test_line_ends_of_every_kind(tmp_path, end):
    """Python's csv writer gives the second on Windows without newline="", old Macs the first."""
    for name, lines in (("a.tsv", ["sentence\tlabel", "a b\tpos", "c\u2028\x0b\tneg"]),
                        ("a.csv", ["sentence,label", "a b,pos", "c\u2028\x0b,neg"]),
                        ("a.jsonl", ['{"text": "a b", "label": "pos"}',
                                     '{"text": "c\u2028\\u000b", "label": "neg"}'])):
        path = write(tmp_path, name, end.join([*lines, ""]))
        assert [(e.text, e.label) for e in read_sentences(path)] == [
            ("a b", "pos"), ("c\u2028\x0b", "neg")]
    mixed = write(tmp_path, "b.tsv", f"sentence\tlabel\na\tneg{end}b\tneg\r\nc\tneg\n")
    assert [e.label for e in read_sentences(mixed)] == ["neg"] * 3


def test_many_columns_and_long_numbers(tmp_path):
    """20,000 names took 5 seconds, since each was compared with all others."""
    names = [f"c{i}" for i in range(20_000)]
    path = write(tmp_path, "a.tsv", "\t".join([*names, "text"]) + "\n" + "\t".join("x" * 20_001))
    [example] = read_sentences(path, Columns(None, None, "c0"))
    assert (example.text, example.label) == ("x", "x")
    digits = "9" * 5_000
    path = write(tmp_path, "b.tsv", f"{digits}\tlabel\na\tb\n")
    assert read_sentences(path, Columns(digits, None, "label"))[0].text == "a"
    path = write(tmp_path, "b.jsonl", f'{{"text": "a", "label": {digits}}}\n')
    assert "line 1: this is no JSON" in fault(read_sentences, path)


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "good", "", "1,5"])
def test_a_target_that_is_no_finite_number(tmp_path, value):
    path = write(tmp_path, "a.tsv", f"sentence\tlabel\na\t1\nb\t{value}\n")
    assert "line 3: the label" in fault(read_sentences, path, numbers=True)
    for label in ("NaN", "true", "1" + "0" * 400, "[1]"):  # the third is larger than any float
        path = write(tmp_path, "a.jsonl", f'{{"text": "a", "label": {label}}}\n')
        assert "line 1: the label" in fault(read_sentences, path, numbers=True)


def test_lines_of_blanks_and_columns_without_a_name_are_left_alone(tmp_path):
    for name, content in (("a.TSV", "\tsentence\tlabel\t\n0\tfine\tx\t\n \t\t\t\n\n"),
                          ("a.CSV", ",sentence,label,\n0,fine,x,\n ,,,\n,,,\n\n")):
        [example] = read_sentences(write(tmp_path, name, content))
        assert (example.text, example.label) == ("fine", "x")


def test_missing_file_and_missing_pair(tmp_path):
    assert "no such file" in fault(read_sentences, tmp_path / "no.tsv")
    path = write(tmp_path, "a.tsv", "sentence1\tlabel\na\tb\n")
    assert "--pair-column" in fault(read_sentences, path, pairs=True)
    assert "--text-column" in fault(read_sentences, path)
    second = write(tmp_path, "b.tsv", "sentence2\tlabel\na\tb\n")
    assert "--text-column" in fault(read_sentences, second, pairs=True)
