"""Fine-tuning: every mistake is one line with the cure, status 2, and nothing is written."""

import json

import pytest
from tests.cli.command_line import files_below, mistake, output_of
from tests.cli.labelled_world import FILES, finetune

@pytest.mark.parametrize("task, more, words", [
    ("classify", ("--epochs", "0"), "--epochs = 0"), ("tag", ("--batch", "0"), "--batch = 0"),
    ("tag", ("--lr", "nan"), "lr = nan"), ("tag", ("--layer-decay", "0"), "layer_decay = 0.0"),
    ("tag", ("--freeze-layers", "3"), "3 layers cannot be frozen: the model has 2"),
    ("tag", ("--freeze-layers", "-1"), "--freeze-layers = -1"), ("tag", ("--dropout", "1"), "1.0"),
    ("tag", ("--max-length", "33"), "--max-length is 33, but the model in"),
    ("tag", ("--max-length", "4"), "max_length = 4"),
    ("tag", ("--stride", "30"), "overlap (--stride) = 30"),
    ("tag", ("--patience", "-1"), "patience = -1"), ("tag", ("--seed", "-1"), "seed = -1"),
    ("tag", ("--workers", "0"), "workers = 0"),
    ("tag", ("--regression",), "unrecognized arguments: --regression"),
    ("answer", ("--class-weights",), "unrecognized arguments"),
    ("classify", ("--regression", "--class-weights"), "--class-weights is about classes"),
    ("classify", ("--regression", "--vote"), "--vote is about classes"),
    ("pair", ("--vote",), "unrecognized arguments: --vote"),
    ("classify", ("--regression",), "line 2: the label ('label') is "),
    ("classify", ("--text-column", "no"), "name the right one with --text-column"),
    ("tag", ("--freeze-layers", "1", "--freeze-encoder"), "not allowed with"),
    ("classify", ("--from", "{world}/nothing"), "no such folder"),
    ("classify", ("--from", "{world}"), "neither a run nor a model"),
    ("classify", ("--train", "{world}/no.tsv"), "no.tsv: there is no such file"),
    ("classify", ("--dev", "{world}/dev.conll"), "ending '.conll'"),
    ("answer", ("--dev", "{world}/dev.tsv"), "no JSON"),
])
def test_options_that_cannot_be(world, tmp_path, capsys, task, more, words):
    out = tmp_path / "run"
    more = [word.format(world=world) for word in more]
    assert words in mistake(capsys, *finetune(task, world, out, *more))
    assert not out.exists(), "nothing is left behind"


@pytest.mark.parametrize("name", ["from", "train", "dev"])
def test_what_must_be_named(world, tmp_path, capsys, name):
    arguments = finetune("tag", world, tmp_path / "run")
    at = arguments.index(f"--{name}")
    assert f"--{name} is missing: name " in mistake(capsys, *arguments[:at], *arguments[at + 2:])


@pytest.mark.parametrize("task, part, content, words", [
    ("classify", "train", "sentence\tlabel\na\tpos\nb\tpos\n", "'pos' is the only class"),
    ("classify", "dev", "sentence\tlabel\na\tpos\nb\tso-so\n", "line 3: the label 'so-so' did not"),
    ("classify", "dev", "sentence\tlabel\na\tpos\nb\t\n", "line 3: the label ('label') is empty"),
    ("tag", "train", "a O\nb O\n", "'O' is the only tag there"),
    ("tag", "dev", "a O\nb B-ORG\n", "word 2 ('b'): the label 'B-ORG' did not occur"),
    ("tag", "dev", "a O\n\nb X O\n", "line 3: 3 columns"),
    ("tag", "train", "a B-PER\nb I-LOC\nc O\n", "1 entities begin with I- where BIO2 "
     "writes B-: they are read so, as conlleval and seqeval do (line 2): refused because"),
    ("choice", "dev", '{"context": "a", "endings": ["b", "c"], "label": 2}', "line 1: the label"),
    ("choice", "train", '{"context": "a", "endings": ["b", "c"], "label": 1}\n{"context": "a", '
     '"endings": ["b", "c", "d"], "label": 1}', "line 2: 3 endings"),
    ("answer", "train", json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [
        {"id": "1", "question": "b", "answers": [], "is_impossible": True}]}]}]}),
     "no question has an answer"),
    ("answer", "train", '{"data": [{"paragraphs": [{"context": "", "qas": []}]}]}',
     "data[0].paragraphs[0]: the context is empty"),
])
def test_files_that_cannot_be_learned_from(world, tmp_path, capsys, task, part, content, words):
    path = tmp_path / f"bad.{FILES[task]}"
    path.write_text(content)
    line = mistake(capsys, *finetune(task, world, tmp_path / "run", f"--{part}", str(path),
                                     "--strict"))
    assert words in line and "bad" in line
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_not_touched(world, runs, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "exists already" in mistake(capsys, *finetune("tag", world, tmp_path))
    assert files_below(tmp_path) == {"thesis.txt": b"years of work"}
    before = files_below(runs["tag"])
    assert "exists already" in mistake(capsys, *finetune("tag", world, runs["tag"]))
    resume = ["finetune", "tag", "--resume", "--out", runs["tag"]]
    assert "--lr is 0.5, but" in mistake(capsys, *resume, "--lr", "0.5")
    assert "x.conll: there is no such file" in mistake(capsys, *resume, "--train", "x.conll")
    line = mistake(capsys, "finetune", "pair", "--resume", "--out", runs["tag"])
    assert "holds a run of finetune tag, not of finetune pair" in line
    line = mistake(capsys, "finetune", "tag", "--resume", "--out", world / "both" / "bert")
    assert "holds a run of pretrain bert, not of finetune tag" in line
    assert "no run to resume" in mistake(capsys, "finetune", "tag", "--resume", "--out", tmp_path)
    assert "name its folder" in mistake(capsys, "finetune", "tag", "--resume")
    assert files_below(runs["tag"]) == before


def test_files_that_have_changed_since(world, tmp_path, capsys):
    own = [tmp_path / "train.tsv", tmp_path / "dev.tsv"]
    for path in own:
        path.write_text((world / path.name).read_text())
    output_of(capsys, *finetune("classify", world, tmp_path / "run", "--train", str(own[0]),
                                "--dev", str(own[1])))
    for path in own:
        before = path.read_text()
        path.write_text(before.replace("rome", "oslo"))
        line = mistake(capsys, "finetune", "classify", "--resume", "--out", tmp_path / "run",
                       "--epochs", "3")
        assert "no longer what this run was begun with" in line
        path.write_text(before)


@pytest.mark.parametrize("command, words", [
    (("evaluate", "{tag}", "--file", "{world}/no.txt"), "no such file"),
    (("evaluate", "{bert}", "--file", "x"), "holds a pre-training run: evaluate needs one of"),
    (("evaluate", "{world}/nothing", "--file", "x"), "no such folder"),
    (("evaluate", "{answer}", "--file", "{world}/dev.json", "--text-column", "1"), "no use for it"),
    (("evaluate", "{tag}", "--file", "{world}/dev.conll", "--pair-column", "1"), "no use for it"),
    (("evaluate", "{tag}", "--file", "{world}/dev.conll", "--text-column", "3"), "from 1 to 2"),
    (("evaluate", "{tag}", "--file", "{world}/dev.conll", "--null-threshold", "1"), "no answer"),
    (("evaluate", "{answer}", "--file", "{world}/dev.json", "--null-threshold", "nan"), "is nan"),
    (("predict", "{tag}", "--file", "{world}/dev.conll", "--out", "{world}/no/file"),
     "no such folder"),
    (("tag", "{answer}", "a"), "holds a run of finetune answer: tag needs one of finetune tag"),
    (("tag", "{tag}", " "), "nothing to tag"),
    (("answer", "{tag}", "--context", "x", "--question", "y"), "answer needs one of finetune"),
    (("answer", "{answer}", "--context", "{world}/no.txt", "--question", "y"), "no such file"),
    (("answer", "{answer}", "--context", "{world}/text.txt", "--question", " "), "--question is"),
    (("fill-mask", "{tag}", "a [MASK]"), "BertForTokenClassification"),
])
def test_questions_that_cannot_be_answered(world, runs, capsys, command, words):
    places = {"world": world, "bert": world / "both" / "bert", **runs}
    assert words in mistake(capsys, *[word.format(**places) for word in command])
