"""The film: frames that change no training, the same after a kill, read back to the bit."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.command_line import write_text

from minibert.cli.build_trainer import make_trainer, read_corpus
from minibert.cli.pretrain_options import resolved
from minibert.errors import InputError
from minibert.look.causes import word_vectors
from minibert.look.data import coded
from minibert.look.film import decoded, film_steps, read_frames
from minibert.training.run_folder import Run


@given(st.integers(0, 60), st.integers(1, 10_000))
def test_the_steps_are_log_spaced_and_hold_the_ends(frames, steps):
    found = film_steps(frames, steps)
    assert len(found) <= frames and all(0 <= step <= steps for step in found)
    if frames:
        assert steps in found
    if frames > 1:
        assert 0 in found
    if frames > 2:
        inner = sorted(found - {0})
        assert inner[0] in (1, steps)
        # the quotient of neighbours is the same but for rounding to whole steps
        ratio = steps ** (1 / (frames - 2))
        assert all(after <= ratio * (before + 0.5) + 1 for before, after in zip(inner, inner[1:]))


@given(st.sampled_from([("u8", np.uint8), ("f16", np.float16)]), st.integers(0, 2 ** 32),
       st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_an_array_comes_back_to_the_bit(code, seed, shape):
    name, dtype = code
    array = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    back = decoded("a", json.loads(json.dumps(coded(array, name))), name, len(shape))
    assert back.dtype == dtype and np.array_equal(back, array)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_text(tmp_path_factory.mktemp("text") / "animals.txt")


def options_of(model, text, **more):
    return resolved(model, {"text": (str(text),), "corpus": "text", "format": "lines", "layers": 1,
                            "heads": 2, "width": 16, "context": 24, "batch": 4, "threads": 1,
                            "tokenizer": "wordpiece", "vocab_size": 80, "steps": 7,
                            "eval_every": 3, "dropout": 0.1, **more})


@pytest.mark.parametrize("model", ["bert", "gpt"])
def test_a_film_changes_no_training_and_a_killed_one_resumes_to_the_same_bytes(
        tmp_path, text, model, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    corpus = read_corpus(options_of(model, text))

    def trainer(name, film):
        made = make_trainer(options_of(model, text, film=film), corpus)
        made.run_folder = Run.create(tmp_path / name) if not (tmp_path / name).exists() \
            else Run(tmp_path / name)
        return made

    for name, film in (("plain", 0), ("film", 6)):
        trainer(name, film).run()
    killed = trainer("killed", 6)
    killed.run(until=4)
    for _ in range(2):  # steps behind the checkpoint, and a line that was cut
        killed.run_folder.log(killed.step())
        killed._log_film()
    with open(killed.run_folder.path / "log.jsonl", "a") as file:
        file.write('{"kind": "film", "st')
    again = trainer("killed", 6)
    again.resume()
    again.run()
    logs = {name: (tmp_path / name / "log.jsonl").read_bytes() for name in ("film", "killed")}
    assert logs["film"] == logs["killed"]
    frames = Run(tmp_path / "film").records()
    others = [record for record in frames if record["kind"] != "film"]
    assert others == Run(tmp_path / "plain").records()
    assert {record["step"] for record in frames if record["kind"] == "film"} == film_steps(6, 7)
    last = read_frames(frames, "log")
    assert last["attention"].shape[:3] == (len(film_steps(6, 7)), 1, 2)
    sums = last["attention"].astype(float).sum(axis=-1) / 255
    assert np.abs(sums - 1).max() < 0.5 * 24 / 255
    vectors = [record["vectors"] for record in frames if record["kind"] == "film"][-1]
    ids = again.tokenizer.convert_tokens_to_ids(last["words"])
    assert np.array_equal(decoded("log", vectors, "f16", 2),
                          word_vectors(again.model)[ids].astype(np.float16))


def frame(step=0, **changes):
    rng = np.random.default_rng(step)
    return {"kind": "film", "step": step, "tokens": ["a", "b"], "words": ["x", "y", "z"],
            "attention": coded(np.full((1, 1, 2, 2), 127), "u8"),
            "vectors": coded(rng.normal(size=(3, 4)), "f16"), **changes}


def test_the_map_keeps_distances_within_the_plane_of_the_last_frame():
    found = read_frames([frame(0), frame(5)], "log")
    vectors = decoded("a", frame(5)["vectors"], "f16", 2).astype(float)
    places = found["map"][-1].astype(float)  # three points lie in a plane: nothing is lost
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert math.dist(places[i], places[j]) == pytest.approx(
            np.linalg.norm(vectors[i] - vectors[j]), rel=1e-5)
    assert np.allclose(found["map"].mean(axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("changes, words", [
    ({"attention": coded(np.zeros((1, 1, 2, 3)), "u8")}, "film at step 5"),
    ({"tokens": ["a", "c"]}, "expected the tokens"), ({"words": ["x"]}, "film at step 5"),
    ({"vectors": {"shape": [3, 4], "f16": "AAAA"}}, "as many numbers"),
    ({"vectors": {"shape": [3, 4], "f16": "no base64"}}, "as many numbers"),
    ({"vectors": {"shape": [3, -4], "f16": ""}}, "expected a shape"),
    ({"vectors": {"shape": [10 ** 30], "f16": ""}}, "expected a shape"),
    ({"vectors": coded(np.zeros(12), "f16")}, "1 axes"),
    ({"vectors": {"f16": ""}}, "expected a shape"),
    ({"vectors": coded(np.full((3, 4), np.inf), "f16")}, "infinity")])
def test_a_damaged_frame_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        read_frames([frame(0), frame(5, **changes)], "log")


def test_a_log_without_a_film_has_none():
    assert read_frames([{"kind": "step", "step": 1}], "log") is None
