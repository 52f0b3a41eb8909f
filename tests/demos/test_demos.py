"""Every demo runs on a small setting and says its own claim at the end."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minibert.finetuning.files.choices import read_choices
from minibert.finetuning.files.questions import read_questions
from minibert.finetuning.files.sentences import read_sentences
from minibert.finetuning.files.tags import read_tags

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "01_autograd": ([], "agree to 12 digits"),
    "02_attention": ([], "equals the look-up by hand"),
    "03_masks": ([], "exactly zero where the mask forbids"),
    "04_bert_input": ([], "[CLS] my dog is cute [SEP] he likes play ##ing [SEP]\n"
                          "with segments 0 0 0 0 0 0 1 1 1 1 1"),
    "05_pretraining_examples": (["--batches", "60"], "within 4 standard errors"),
    "06_one_block_two_trainers": (["--steps", "300", "--held-out", "10"],
                                  "below counting words, and above the oracle"),
    "07_python_docs": (["--steps", "150", "--width", "64", "--threads", "1"],
                       "below the unigram baseline"),
    "09_first_lines": (["--steps", "30"], "full forward for\nevery token"),
    "10_sampling_strategies": (["--steps", "150", "--samples", "5", "--tokens", "16"],
                               "a lower temperature gives likelier texts"),
    "11_sliding_windows": ([], "each token belongs to one window ('bought': C)"),
    "12_toy_tasks": (["--train", "300", "--test", "300"], "under the best possible score"),
    "15_examples_by_hand": ([], "every answer is right, in both languages"),
    "16_named_activations": (["--steps", "30"], "every step of the block equals its formula"),
    "17_logit_lens": (["--steps", "100"], "the model's logits to the bit"),
    "25_text_to_text": (["--tasks", "entities", "--steps", "100", "--train", "100", "--test", "20",
                         "--documents", "100"], "better than guessing"),
    "26_span_corruption": (["--steps", "100", "--gaps", "20", "--documents", "300"],
                           "better than counting words"),
    "18_where_a_word_turns": (["--steps", "30"], "enters both texts as one vector"),
    "19_a_page": (["--steps", "30"], "all ten answers, computed from the file alone"),
    "20_counting_to_vectors": (["--documents", "400", "--steps", "150"],
                               "put words of one topic together"),
    "21_one_word_two_senses": (["--documents", "200", "--steps", "40", "--labelled", "50"],
                               "a static vector says the prior, to the bit"),
    "22_lstm": (["--steps", "40", "--documents", "200"], "give the op's states"),
    "23_elmo": (["--steps", "60", "--documents", "200", "--occurrences", "20"],
                "fills gaps better than either"),
    "24_seeing_oneself": (["--steps", "40"], "unless it reads [MASK]"),
    "27_few_labels": (["--steps", "20", "--bert-steps", "5", "--documents", "200", "--labels", "16",
                       "--epochs", "1", "--test", "40"],
                      "no classifier is better than the best possible one"),
    "28_in_context_learning": (["--steps", "150"], "never better than Bayes"),
    "29_induction_heads": (["--steps", "30"], "one layer cannot copy what begins again"),
    "30_zero_shot": (["--gpt-steps", "60", "--bert-steps", "5", "--tune-steps", "3", "--documents",
                      "600", "--test", "60"], "no better than the exact posterior"),
    "31_entities_and_relations": (["--held-out", "80"], "is most often a character"),
    "32_keywords": (["--steps", "400", "--documents", "1000", "--judged", "60"],
                    "diversity makes keywords less alike"),
    "33_from_vectors": (["--steps", "40", "--documents", "400", "--skip-gram-steps", "60",
                         "--labels", "100", "--test", "200"], "far better than a guess"),
}


QUICK = ("01_autograd", "02_attention", "03_masks", "04_bert_input", "05_pretraining_examples",
         "11_sliding_windows")


@pytest.mark.parametrize("name", [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SMALL])
def test_demo(name, tmp_path):
    arguments, claim = SMALL[name]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONIOENCODING="utf-8")
    result = subprocess.run([sys.executable, str(ROOT / "demos" / f"{name}.py"), *arguments],
                            capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    said = result.stdout[result.stdout.rindex("Claim:"):]
    assert claim in said
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_the_first_lines_differ_in_the_import_alone():
    text = (ROOT / "demos" / "09_first_lines.py").read_text(encoding="utf-8")
    functions = {node.name: ast.get_source_segment(text, node) for node in ast.parse(text).body
                 if isinstance(node, ast.FunctionDef)}
    for name in ("bert", "gpt2"):
        here, there = functions[name].splitlines(), functions[f"{name}_there"].splitlines()
        changed = [(a, b) for a, b in zip(here[1:], there[1:], strict=True) if a != b]
        assert len(changed) == 1 and changed[0][0] == changed[0][1].replace("transformers",
                                                                             "minibert")


def test_every_numbered_demo_is_tried():
    """Those that need a folder of somebody else's have tests of their own."""
    numbered = {path.stem for path in (ROOT / "demos").glob("[0-9]*.py")}
    assert set(SMALL) <= numbered


@pytest.mark.slow
def test_toy_tasks_become_files_that_finetune_reads(tmp_path):
    arguments = ["--train", "60", "--test", "60", "--write", "files"]
    result = subprocess.run([sys.executable, str(ROOT / "demos" / "12_toy_tasks.py"), *arguments],
                            capture_output=True, text=True, cwd=tmp_path,
                            env=dict(os.environ, PYTHONPATH=str(ROOT), PYTHONIOENCODING="utf-8"))
    folder = tmp_path / "files"
    assert len(list(folder.iterdir())) == 15, result.stderr
    assert len(read_sentences(folder / "mood-train.tsv")) == 60
    assert len(read_sentences(folder / "same-topic-dev.tsv", pairs=True)) == 60
    assert len(read_choices(folder / "endings-test.csv")) == 60
    assert len(read_tags(folder / "entities-train.conll")) == 60
    assert len(read_questions(folder / "questions-dev.json")) == 60
