"""Files that were damaged anywhere: read, or refused with one line that names the file."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning.files.choices import read_choices
from minibert.finetuning.files.questions import read_questions
from minibert.finetuning.files.sentences import read_sentences
from minibert.finetuning.files.tags import read_tags

CASES = {
    "a.csv": (read_sentences, 'sentence,label\n"a, ""b""",pos\n"c\nd",neg\n'),
    "a.tsv": (read_sentences, "sentence\tlabel\na b\tpos\nc\tneg\n"),
    "a.jsonl": (read_choices, '{"context": "a", "start": "b", "endings": ["c", "d"], "label": 1}\n'
                              '{"context": "e", "endings": ["f", "g"], "label": 0}\n'),
    "b.csv": (read_choices, "sent1,sent2,ending0,ending1,label\na,b,c,d,1\n"),
    "a.conll": (read_tags, "-DOCSTART- O\n\nEU I-ORG\nsaid O\n\nRome I-LOC\nParis B-LOC\n"),
    "b.jsonl": (read_tags, '{"tokens": ["EU", "said"], "ner_tags": ["I-ORG", "O"]}\n'),
    "a.json": (read_questions, json.dumps({"data": [{"paragraphs": [{
        "context": "a b c", "qas": [{"id": "1", "question": "what", "is_impossible": False,
                                     "answers": [{"text": "b", "answer_start": 2}]}]}]}]}))}
BYTES = st.sampled_from([b"\n", b"\r", b"\t", b'"', b",", b"\\", b"{", b"]", b"\0", b"\xff", b"-",
                         b"9", b"null", b"NaN", "\u2028é".encode(), b"\xef\xbb\xbf", b"O", b""])


@pytest.mark.filterwarnings("ignore")  # of what is read all the same
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), BYTES), min_size=1,
                      max_size=3))
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path_factory, name, edits):
    read, content = CASES[name]
    data = content.encode()
    assert read(write(tmp_path_factory, name, data))
    for place, length, put in edits:
        at = int(place * len(data))
        data = data[:at] + put + data[at + length:]
    path = write(tmp_path_factory, name, data)
    try:
        assert read(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


def write(tmp_path_factory, name: str, data: bytes):
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data)
    return path
