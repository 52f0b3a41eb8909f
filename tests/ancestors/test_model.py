"""Laws of all older models: normalised answers, folders, one line for each mistake."""

import json

import numpy as np
import pytest
from tests.ancestors.small_ancestors import TOKENIZER, V, small_models, texts

from minibert.ancestors.folders import MODELS, ancestor_class
from minibert.ancestors.word2vec import CBOW, CBOWConfig
from minibert.atomic_files import read_json
from minibert.errors import InputError
from minibert.pretraining.gpt_objective import token_stream

ROWS = np.array([token_stream(TOKENIZER, [text])[:9] for text in texts(3, seed=5)], np.int64)
GAPS = np.array([1, 4, 8])
each_model = pytest.mark.parametrize("model", small_models(), ids=type)


def answers(model) -> dict[str, np.ndarray]:
    asked = {"next_word": (ROWS,), "gap": (ROWS, GAPS), "vectors": (ROWS,)}
    return {question: getattr(model, question)(*asked[question])
            for question in asked if question not in model.unanswered}


@each_model
def test_answers_have_their_shapes_are_normalised_and_look_where_they_may(model):
    found, T = answers(model), ROWS.shape[1]
    assert found
    for question, array in found.items():
        shape = {"next_word": (3, T, V), "gap": (3, V), "vectors": (3, T)}[question]
        assert array.shape[:len(shape)] == shape
        if question != "vectors":
            np.testing.assert_allclose(np.exp(array).sum(axis=-1), 1.0, rtol=1e-5)
    if "next_word" in found:  # nothing to the right is read
        np.testing.assert_array_equal(model.next_word(ROWS[:, :5]), found["next_word"][:, :5])
    if "gap" in found:  # the word in the gap is not read
        others = ROWS.copy()
        others[np.arange(3), GAPS] = TOKENIZER.mask_token_id
        np.testing.assert_array_equal(model.gap(others, GAPS), found["gap"])


@pytest.mark.parametrize("model", [model for model in small_models()
                                   if "gap" not in model.unanswered], ids=type)
def test_gaps_lie_in_their_rows(model):
    for gaps in ([1, 4, 9], [1, 4, -1], [1, 4], [1.0, 4.0, 8.0]):
        with pytest.raises(InputError, match="positions: "):
            model.gap(ROWS, np.array(gaps))


@each_model
def test_unanswered_questions_are_refused_with_their_reason(model):
    for question, why in model.unanswered.items():
        with pytest.raises(InputError, match=why):
            getattr(model, question)(*([ROWS, GAPS] if question == "gap" else [ROWS]))


@each_model
def test_a_folder_gives_the_same_model(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = ancestor_class(read_json(tmp_path / "config.json")).from_pretrained(tmp_path)
    assert type(loaded) is type(model) and loaded.config == model.config
    assert loaded.parameter_count() == model.parameter_count() and not loaded.training
    for question, array in answers(model).items():
        np.testing.assert_array_equal(answers(loaded)[question], array)


@each_model
def test_folders_of_other_rows_and_damaged_ones_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    for other in MODELS:
        if other is not type(model):
            with pytest.raises(InputError, match="expected '"):
                other.from_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    for damage, message in (({"vocab_size": V + 1} if "ngram" != values["model_type"] else
                             {"order": 2}, "expected"),
                            ({"num_layers": 99}, "an array of each layer|the fields are"),
                            ({"colour": 3}, "expected"), ({"vocab_size": 0}, "at least 1|from 1")):
        path.write_text(json.dumps(values | damage))
        with pytest.raises(InputError, match=message):
            type(model).from_pretrained(tmp_path)
    path.write_text(json.dumps(values))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises((InputError, OSError), match="model.safetensors"):
        type(model).from_pretrained(tmp_path)


def test_ids_that_are_no_rows_and_weights_that_are_no_numbers_are_refused(tmp_path):
    model = CBOW(CBOWConfig(V, 4), 0)
    for ids in (ROWS[0], ROWS + V, ROWS * 1.0):
        with pytest.raises(InputError, match="input_ids"):
            model.vectors(ids)
    with pytest.raises(InputError, match="no words around"):
        model.gap(ROWS[:, :1], np.zeros(3, np.int64))
    model.input_embeddings.weight.data[0, 0] = np.nan
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="NaN"):
        CBOW.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="window"):
        CBOWConfig(V, 4, window=0)
    with pytest.raises(InputError, match="vocab_size"):
        CBOWConfig(0)
