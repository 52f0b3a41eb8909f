"""Multiple choice: SWAG's CSV and JSONL."""

import pytest
from tests.finetuning.files.test_sentence_files import fault, write

from minibert.finetuning.files.choices import read_choices

HEADER = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,label\n"


def test_swags_columns_and_json_say_the_same(tmp_path):
    swag = write(tmp_path, "a.csv",
                 HEADER + '0,v,1,x,"Robes, on people.",They,gold,sing,run,"a ""b""",2\n')
    lists = write(tmp_path, "a.jsonl", '{"context": "Robes, on people.", "start": "They", '
                  '"endings": ["sing", "run", "a \\"b\\""], "label": 2}\n')
    columns = write(tmp_path, "b.jsonl", '{"sent1": "Robes, on people.", "sent2": "They", "ending0"'
                    ': "sing", "ending1": "run", "ending2": "a \\"b\\"", "label": " 2"}\n')
    for path in (swag, lists, columns):
        [example] = read_choices(path)
        assert (example.context, example.start) == ("Robes, on people.", "They")
        assert example.endings == ("sing", "run", 'a "b"') and example.label == 2
    assert example.where == f"{columns}, line 1"


def test_hellaswags_lines(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"ind": 4, "ctx_a": "A man sits.", "ctx_b": "he", "ctx": '
                 '"A man sits. he", "label": "1", "endings": ["sings", "stands"]}\n')
    [example] = read_choices(path)
    assert (example.context, example.start, example.label) == ("A man sits.", "he", 1)


def test_swags_full_file_is_sent_back(tmp_path):
    path = write(tmp_path, "a.csv", "sent1,sent2,gold-ending,distractor-0\na,b,c,d\n")
    assert "line 2: 0 endings" in fault(read_choices, path)
    assert "take train.csv" in fault(read_choices, path)


def test_without_labels_and_without_a_start(tmp_path):
    path = write(tmp_path, "a.tsv", "context\tending0\tending1\nA man.\truns\tsits\n")
    [example] = read_choices(path, labelled=False)
    assert example.label is None and example.start == ""
    assert "line 2: the label is empty" in fault(read_choices, path)
    empty = write(tmp_path, "b.tsv", "context\tending0\tending1\tlabel\nA man.\truns\tsits\t\n")
    assert "line 2: the label is empty" in fault(read_choices, empty)
    odd = write(tmp_path, "a.jsonl", '{"context": "a", "endings": ["b", "c"], "label": "?"}\n')
    assert read_choices(odd, labelled=False)[0].label is None


@pytest.mark.parametrize("line, words", [
    ('{"context": "a", "endings": ["x"], "label": 0}', "1 endings; expected two or more"),
    ('{"context": "a", "endings": ["x", "y", "z"], "label": 0}', "3 endings, but"),
    ('{"context": "a", "endings": ["x", " "], "label": 0}', "'ending1' is empty"),
    ('{"context": "a", "endings": ["x", 2], "label": 0}', "'ending1' is 2"),
    ('{"context": "a", "endings": "xy", "label": 0}', "endings is 'xy'; expected a list"),
    ('{"context": "a", "endings": 3, "label": 0}', "endings is 3; expected a list"),
    ('{"context": "a", "endings": ["x", "y"], "label": 2}', "the label is 2; expected the number"),
    ('{"context": "a", "endings": ["x", "y"], "label": -1}', "the label is -1"),
    ('{"context": "a", "endings": ["x", "y"], "label": true}', "the label is True"),
    ('{"context": "a", "endings": ["x", "y"], "label": "b"}', "the label is 'b'"),
    (f'{{"context": "a", "endings": ["x", "y"], "label": "{"9" * 5_000}"}}', "the label is '999"),
    ('{"context": "", "endings": ["x", "y"], "label": 0}', "'context' is empty"),
    ('{"context": "a", "start": 3, "endings": ["x", "y"], "label": 0}', "start of the endings"),
    ('{"text": "a", "endings": ["x", "y"], "label": 0}', "neither context nor sent1"),
])
def test_faults_are_named_with_their_line(tmp_path, line, words):
    good = '{"context": "a", "start": "b", "endings": ["x", "y"], "label": 1}\n'
    path = write(tmp_path, "a.jsonl", good + line + "\n")
    message = fault(read_choices, path)
    assert "line 2: " in message and words in message
