"""The LSTM language model and ELMo: what each direction may read, the mixture, the objectives."""

import numpy as np
import pytest

import minibert as mb
from minibert.ancestors.elmo import ELMo, ELMoConfig, ELMoObjective
from minibert.ancestors.lstm import LSTMConfig, LSTMLanguageModel, LSTMObjective
from minibert.autograd.checks.gradcheck import gradcheck_parameters
from minibert.autograd.functional import IGNORE_INDEX
from minibert.data.ngram_baselines import unigram
from minibert.errors import InputError
from minibert.pretraining.gpt_objective import NextTokenBatch
from minibert.training.run_folder import Run
from tests.ancestors.small_ancestors import TOKENIZER, V, texts
from tests.autograd.op_factory import assert_close

IDS = np.random.default_rng(0).integers(5, V, (3, 6))


def elmo(seed=0, **sizes) -> ELMo:
    model, rng = ELMo(ELMoConfig(V, **{"hidden_size": 5} | sizes)).double(), np.random.default_rng(
        seed)
    for parameter in model.parameters():
        parameter.data = rng.normal(size=parameter.shape)
    model.unigram = rng.dirichlet(np.ones(V))
    return model


def elmo_objective(model, seed=0) -> ELMoObjective:
    return ELMoObjective(model, TOKENIZER, texts(), texts(6, 1), 7, 4, seed)


def test_hidden_states_are_the_tokens_and_then_each_layer():
    model = LSTMLanguageModel(LSTMConfig(V, 5, 3))
    states = model.hidden_states(IDS)
    assert [state.shape for state in states] == [(3, 6, 5)] * 4
    assert np.array_equal(states[0].data, model.embeddings.weight.data[IDS])
    vectors, *weights = [parameter.data for parameter in model.parameters() if parameter.ndim == 2]
    assert 0.9 < np.abs(vectors).max() <= 1
    assert all(0.9 / 5 ** 0.5 < np.abs(array).max() <= 5 ** -0.5 for array in weights)
    assert not np.array_equal(weights[0], weights[2])


def test_the_loss_is_that_of_the_probabilities():
    model = elmo().to_right
    targets = np.roll(IDS, -1, 1)
    targets[:, -1] = IGNORE_INDEX
    expected = -np.take_along_axis(model.next_word(IDS)[:, :-1], IDS[:, 1:, None], -1).sum()
    assert_close(model.next_token_loss(IDS, targets).data, np.asarray(expected), 1e-12)


def test_dropout_falls_before_each_layer_and_before_the_prediction():
    model = LSTMLanguageModel(LSTMConfig(V, 5, 2, 0.5), 3).double()
    rng, x = np.random.default_rng(7), model.embeddings(IDS)
    for layer in model.layers:
        x, _ = layer(model.dropout(x, rng))
    x = model.dropout(x, rng)
    p = mb.functional.log_softmax(x @ model.embeddings.weight.swapaxes(0, 1) + model.bias).data
    found = model.next_token_loss(IDS, IDS, rng=np.random.default_rng(7))
    assert_close(found.data, -np.take_along_axis(p, IDS[..., None], -1).sum(), 1e-12)


def test_the_gradient_of_both_losses_and_of_the_mixture():
    model, objective = elmo(hidden_size=3), elmo_objective(elmo())
    batch = objective.batch(0)

    def loss():
        sums, _ = objective.losses(model, batch)
        mixed = model.mixed(IDS)
        return sums["to_right"] + sums["to_left"] + (mixed * mixed).sum()

    report = gradcheck_parameters(loss, dict(model.named_parameters()), coordinates=2, directions=2)
    assert report.relative_error < 1e-12


def test_the_vectors_are_equation_1():
    model = elmo(num_layers=2)
    weights = np.exp(model.scalars.data) / np.exp(model.scalars.data).sum()
    states = [state.data for state in model.layer_states(IDS)]
    assert len(states) == 3 and np.array_equal(states[0][..., :5], states[0][..., 5:])
    expected = model.gamma.data * np.einsum("j,jbtc->btc", weights, np.stack(states))
    assert_close(model.vectors(IDS), expected, 1e-14)
    right = model.to_right.hidden_states(IDS)[2].data
    assert np.array_equal(states[2][..., :5], right)


def test_a_gap_is_the_product_of_both_sides_over_the_prior():
    model, (B, T) = elmo(), IDS.shape
    p = model.unigram
    right = np.exp(model.next_word(IDS))
    left = np.exp(model.to_left.next_word(IDS))  # p(the token before t | tokens t to T - 1)
    for position, wanted in ((0, left[:, 1]), (T - 1, right[:, T - 2]),
                             (2, right[:, 1] * left[:, 3] / p)):
        found = np.exp(model.gap(IDS, np.full(B, position)))
        assert_close(found, wanted / wanted.sum(-1, keepdims=True), 1e-12)
    different = model.gap(IDS, np.array([0, 2, T - 1]))
    for b, position in enumerate((0, 2, T - 1)):
        assert_close(different[b], model.gap(IDS, np.full(B, position))[b], 1e-12)
    assert_close(np.exp(model.gap(IDS[:, :1], np.zeros(B, int))), np.tile(p, (B, 1)), 1e-12)


def test_the_model_to_the_left_is_that_to_the_right_on_a_mirrored_text():
    model, fresh = elmo(), ELMo(ELMoConfig(V, 5), 1)
    assert not np.array_equal(fresh.to_left.layers[0].weight_ih.data,
                              fresh.to_right.layers[0].weight_ih.data)
    for one, other in zip(model.to_left.layers, model.to_right.layers):
        one.load_state_dict(other.state_dict())
    assert_close(model.to_left.next_word(IDS[:, ::-1])[:, ::-1], model.next_word(IDS), 1e-13)
    assert model.to_left.embeddings is model.to_right.embeddings
    assert model.to_left.bias is model.to_right.bias


def test_both_directions_predict_each_token_once_and_no_padding():
    model = elmo()
    objective = elmo_objective(model)
    assert_close(model.unigram, unigram(np.bincount(objective.train_ids, minlength=V)), 1e-12)
    *_, last = objective.held_out_batches()
    n = (last.targets[-1] != IGNORE_INDEX).sum()
    assert 0 < n < last.targets.shape[1]  # the last window is padded
    alone = NextTokenBatch(last.input_ids[-1:, :n], last.targets[-1:, :n])
    padded = NextTokenBatch(last.input_ids[-1:], last.targets[-1:])
    wanted, _ = objective.losses(model, alone)
    found, _ = objective.losses(model, padded)
    for name in ("to_right", "to_left"):
        assert_close(found[name].data, wanted[name].data, 1e-12)
    text = np.concatenate([alone.input_ids, alone.targets[:, -1:]], 1)
    left = model.to_left.next_word(text)[:, 1:]
    expected = -np.take_along_axis(left, text[:, :-1, None], -1).sum()
    assert_close(found["to_left"].data, np.asarray(expected), 1e-12)


@pytest.mark.parametrize("row", ["lstm", "elmo"])
def test_the_trainer_trains_both_and_goes_on_to_the_same_bits(row, tmp_path):
    def trainer(run, steps):
        if row == "lstm":
            model = LSTMLanguageModel(LSTMConfig(V, 12, 1, 0.1), 3)
            objective = LSTMObjective(TOKENIZER, texts(), texts(6, 1), 7, 8)
        else:
            model = ELMo(ELMoConfig(V, 12, 1, 0.1), 3)
            objective = elmo_objective(model)
        settings = mb.TrainingSettings(steps=steps, lr=0.02, eval_every=8, seed=2)
        return mb.Trainer(model, objective, settings, run=run, tokenizer=TOKENIZER)

    whole = trainer(Run.create(tmp_path / "a"), 16)
    whole.run()
    first, last = [whole.run_folder.records()[k] for k in (1, -1)]
    assert last["loss"] < first["loss"] - 0.1
    half = trainer(Run.create(tmp_path / "b"), 16)
    half.run(8)
    resumed = trainer(Run(tmp_path / "b"), 16)
    resumed.resume()
    resumed.run()
    for name, array in whole.model.stored_arrays().items():
        assert np.array_equal(array, resumed.model.stored_arrays()[name]), name


def test_mistakes_are_named(tmp_path):
    with pytest.raises(InputError, match="training text has .* too short for one window of 700"):
        LSTMObjective(TOKENIZER, texts(), texts(6, 1), 700, 4)
    with pytest.raises(InputError, match="reads the left side alone"):
        elmo().to_right.gap(IDS, np.zeros(3, int))
    with pytest.raises(InputError, match="dropout: p = 1"):
        LSTMLanguageModel(LSTMConfig(V, 5, dropout=1.0))
    with pytest.raises(InputError, match="LSTMConfig: num_layers"):
        LSTMConfig(V, 5, 0)
    model = elmo()
    one_impossible = np.append(np.full(V - 1, 1 / (V - 1)), 0)
    for damage in (np.zeros(V), np.full(V + 1, 1 / (V + 1)), np.full(V, 2 / V), one_impossible):
        model.unigram = damage
        model.save_pretrained(tmp_path)
        with pytest.raises(InputError, match="unigram: expected 13 probabilities above 0"):
            ELMo.from_pretrained(tmp_path)
