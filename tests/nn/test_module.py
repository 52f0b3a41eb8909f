"""Module: what is found by walking, what a misspelt name does, what state, modes and copies do."""

import copy
import threading

import numpy as np
import pytest

import minibert as mb
from minibert.errors import InputError
from minibert.nn.layers import Dropout, LayerNorm, Linear
from minibert.nn.module import Module, Parameter, evaluating, in_modes, without_memory


class Pair(Module):
    """Two linear layers whose weight is one and the same, a list of parts, and a parameter."""

    __slots__ = ("first", "parts", "second", "scale", "setting", "nothing")

    def __init__(self):
        super().__init__()
        self.first = Linear(3, 2)
        self.parts = [LayerNorm(2), Dropout(0.5)]
        self.second = Linear(3, 2, bias=False)
        self.second.weight = self.first.weight
        self.scale = Parameter(np.arange(4.0))
        self.setting = 7
        self.nothing = None

    def forward(self, x):
        return self.first(x) + self.second(x)


NAMES = ["first.weight", "first.bias", "parts.0.weight", "parts.0.bias", "scale"]


def test_parameters_are_found_in_order_and_a_tied_one_once():
    assert [name for name, _ in Pair().named_parameters()] == NAMES
    assert len(list(Pair().parameters())) == 5
    names = [name for name, _ in Pair().named_modules()]
    assert names == ["", "first", "parts.0", "parts.1", "second"]


def test_a_tied_parameter_collects_both_gradients():
    pair, x = Pair(), np.array([[1.0, -2.0, 0.5]])
    (pair(x) * np.array([[3.0, 5.0]])).sum().backward()
    expected = 2 * np.outer([3.0, 5.0], x[0])
    np.testing.assert_array_equal(pair.first.weight.grad, expected)


def test_a_misspelt_attribute_is_an_error_in_reading_and_writing():
    pair = Pair()
    with pytest.raises(AttributeError, match="frist"):
        pair.frist
    with pytest.raises(AttributeError, match="frist"):
        pair.frist = 1
    with pytest.raises(AttributeError, match="wieght"):
        pair.first.wieght = pair.first.weight
    pair.setting = 8
    assert pair.setting == 8


def test_a_module_without_slots_is_refused_at_once():
    with pytest.raises(TypeError, match="Careless.*__slots__"):
        class Careless(Module):
            pass


def test_models_refuse_misspelt_attributes_too():
    model = mb.GPT2LMHeadModel(mb.GPT2Config(vocab_size=5, n_positions=4, n_embd=4, n_layer=1,
                                             n_head=1))
    for module in model.modules():
        with pytest.raises(AttributeError):
            module.misspelt = 1


def test_state_goes_out_and_comes_back_in_the_parameters_dtype():
    pair, other = Pair(), Pair()
    rng = np.random.default_rng(0)
    for parameter in pair.parameters():
        parameter.data = rng.normal(size=parameter.shape)
    state = pair.state_dict()
    assert list(state) == NAMES
    other.float().load_state_dict(state)
    for name, parameter in other.named_parameters():
        assert parameter.dtype == np.float32
        np.testing.assert_array_equal(parameter.data, state[name].astype(np.float32))
    assert other.second.weight is other.first.weight
    pair.load_state_dict(state)
    state["scale"][0] = 99.0
    assert pair.scale.data[0] != 99.0  # loading copies


def test_a_state_that_does_not_fit_is_refused_whole_and_all_is_listed():
    pair = Pair()
    state = {name: array + 1 for name, array in pair.state_dict().items()}
    state["first.bias"] = np.zeros(3)
    state["frist"] = state.pop("scale")
    with pytest.raises(InputError) as error:
        pair.load_state_dict(state)
    message = str(error.value)
    assert "scale is missing" in message and "frist is unknown" in message
    assert "first.bias has shape (3,), expected (2,)" in message
    assert "\n" not in message
    assert (pair.first.weight.data == 0).all()


def test_a_state_with_something_that_is_no_number_is_refused_whole():
    pair = Pair()
    before = {name: array.copy() for name, array in pair.state_dict().items()}
    state = {name: array + 1 for name, array in before.items()}
    last = list(state)[-1]
    state[last] = np.full(state[last].shape, "one")
    with pytest.raises(InputError, match=f"{last} holds no real numbers"):
        pair.load_state_dict(state)
    assert all(np.array_equal(array, before[name]) for name, array in pair.state_dict().items())


def test_train_and_eval_reach_every_part():
    pair = Pair()
    assert all(module.training for module in pair.modules())
    assert pair.eval() is pair and not any(module.training for module in pair.modules())
    assert pair.train() is pair and all(module.training for module in pair.modules())


def test_evaluating_is_for_this_thread_and_changes_no_mode():
    """Two threads with one model: each sees its own mode, whoever leaves first."""
    pair, steps = Pair(), [threading.Event() for _ in range(3)]
    seen = []

    def evaluate():
        with evaluating(pair):
            steps[0].set()
            steps[1].wait(10)  # the other thread enters, and leaves
            seen.append(pair.first.training)
            steps[2].set()

    thread = threading.Thread(target=evaluate)
    thread.start()
    steps[0].wait(10)
    seen.append(pair.first.training)
    with evaluating(pair):
        seen.append(pair.first.training)
        pair.train()
        seen.append(pair.second.training)
    steps[1].set()
    steps[2].wait(10)
    thread.join()
    assert seen == [True, False, False, False]
    assert all(module.training for module in pair.modules())


def test_modes_within_modes_and_after_an_error():
    pair = Pair().eval()
    with pytest.raises(ZeroDivisionError), in_modes({pair.first: True}):
        assert pair.first.training and not pair.second.training
        with evaluating(pair):
            assert not pair.first.training
        assert pair.first.training
        1 / 0
    assert not pair.first.training


def test_without_memory_a_model_shows_its_names_and_shapes():
    config = mb.BertConfig(vocab_size=10**6, hidden_size=1200)
    with without_memory():
        large = mb.BertModel(config, rng=None)
    assert large.embeddings.word_embeddings.weight.shape == (10**6, 1200)
    assert all([parameter.data.base is not None and parameter.data.strides == (0,) * parameter.ndim
                for parameter in large.parameters()])
    assert (large.embeddings.norm.weight.data == 1).all() and len(list(large.parameters())) == 151


def test_freezing_by_pattern():
    pair = Pair()
    pair(np.ones((1, 3))).sum().backward()
    pair.freeze("first.*", "sc?le")
    frozen = [name for name, parameter in pair.named_parameters() if not parameter.requires_grad]
    assert frozen == ["first.weight", "first.bias", "scale"]
    assert pair.first.weight.grad is None
    pair.unfreeze("*.weight")
    frozen = [name for name, parameter in pair.named_parameters() if not parameter.requires_grad]
    assert frozen == ["first.bias", "scale"]
    pair.freeze()
    assert not any(parameter.requires_grad for parameter in pair.parameters())
    with pytest.raises(InputError, match="frist"):
        pair.freeze("frist*")


def test_a_frozen_part_gets_no_gradient_and_the_rest_does():
    pair = Pair()
    pair.freeze("first.bias")
    pair(np.ones((1, 3))).sum().backward()
    assert pair.first.bias.grad is None and pair.first.weight.grad is not None


def test_double_and_float_change_every_parameter_and_drop_the_gradients():
    pair = Pair()
    pair(np.ones((1, 3))).sum().backward()
    assert pair.double() is pair
    assert {parameter.dtype for parameter in pair.parameters()} == {np.dtype(np.float64)}
    assert all(parameter.grad is None for parameter in pair.parameters())
    assert pair.second.weight is pair.first.weight
    assert {parameter.dtype for parameter in pair.float().parameters()} == {np.dtype(np.float32)}


def test_zero_grad_forgets():
    pair = Pair()
    pair(np.ones((1, 3))).sum().backward()
    pair.zero_grad()
    assert all(parameter.grad is None for parameter in pair.parameters())


def test_a_deep_copy_is_independent_and_keeps_ties():
    pair = Pair()
    twin = copy.deepcopy(pair)
    assert twin.second.weight is twin.first.weight and twin.first.weight is not pair.first.weight
    assert type(twin.first.weight) is Parameter and twin.first.weight.requires_grad
    twin.first.weight.data[...] = 5
    assert (pair.first.weight.data == 0).all()
    twin.eval()
    assert pair.training


def test_repr_shows_shapes_counts_and_settings_and_equal_neighbours_once():
    config = mb.BertConfig(vocab_size=13, hidden_size=12, num_hidden_layers=3,
                           num_attention_heads=3, intermediate_size=10, max_position_embeddings=9)
    model = mb.BertModel(config)
    text = repr(model)
    count = sum(parameter.size for parameter in model.parameters())
    assert text.splitlines()[0] == f"BertModel()  {count:,} parameters"
    assert "blocks.0 to blocks.2, each: TransformerBlock(norm_first=False)" in text
    assert text.count("qkv: Linear()  468 parameters  weight (36, 12)  bias (36,)") == 1
    assert "dropout: Dropout(p=0.1)" in text


def test_a_trace_names_the_module_an_op_ran_in():
    pair = Pair()
    with mb.trace() as seen:
        pair(np.ones((1, 3)))
    assert [record.module for record in seen.records] == ["first", "second", "Pair"]
