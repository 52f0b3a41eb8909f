"""Activation checkpointing: the same bits, less memory, two frames more."""

import sys
import tracemalloc
from contextlib import nullcontext

import numpy as np
import pytest
from tests.models.small_models import CLASSES, batch, dropout, each_variant, small, weighted_sum

import minibert as mb
from minibert.autograd.gradient_checkpointing import checkpoint
from minibert.autograd.tensor import no_grad
from minibert.training.data_parallel import Workers


def outcome(model, inputs, rng=None, forward_in=nullcontext):
    """The loss and all gradients, which the model forgets."""
    model.zero_grad()
    with forward_in():
        output = model(**inputs, rng=rng)
    loss = weighted_sum(output)
    loss.backward()
    return loss.data, {name: parameter.grad for name, parameter in model.named_parameters()}


def assert_same(one, other):
    assert np.array_equal(one[0], other[0])
    for name, grad in one[1].items():
        assert np.array_equal(grad, other[1][name]), name


@pytest.mark.parametrize("forward_in", [nullcontext, mb.reference], ids=["fused", "reference"])
@each_variant(CLASSES)
def test_gradients_are_the_same_to_the_bit(model_class, variant, forward_in):
    """In backward the blocks run as they ran in forward: implementation and dropout alike."""
    model = small(model_class, 0, variant).train()
    inputs = batch(model_class, variant=variant) | {"attention_mask": np.tri(3, 7, 3, dtype=int)}
    outcomes = []
    for model.gradient_checkpointing in (False, True):
        rng = np.random.default_rng(1)
        outcomes.append(outcome(model, inputs, rng, forward_in))
        outcomes[-1][1]["next draw"] = rng.random(1)
    assert model.gradient_checkpointing
    assert_same(*outcomes)
    assert all(grad.any() for grad in outcomes[0][1].values() if grad is not None)


def test_backward_runs_the_blocks_in_the_modes_of_the_forward():
    model = small(mb.GPT2LMHeadModel, **dropout(mb.GPT2LMHeadModel, 0.3))
    outcomes = []
    for model.gradient_checkpointing in (False, True):
        model.zero_grad()
        model.train()
        model.transformer.stack.blocks[0].eval()  # each module's own
        loss = weighted_sum(model(**batch(mb.GPT2LMHeadModel), rng=np.random.default_rng(1)))
        model.eval()
        model.transformer.stack.blocks[0].train()
        loss.backward()
        assert [block.training for block in model.transformer.stack.blocks[:2]] == [True, False]
        outcomes.append((loss.data, {name: p.grad for name, p in model.named_parameters()}))
    assert_same(*outcomes)


def test_frozen_parts_have_no_gradient_and_all_others_theirs():
    """With frozen embeddings the first block's input needs none: its parameters still do."""
    model = small(mb.GPT2LMHeadModel)
    outcomes = []
    for model.gradient_checkpointing in (False, True):
        model.freeze("*embeddings*", "*blocks.1*")
        outcomes.append(outcome(model, batch(mb.GPT2LMHeadModel)))
    for name, grad in outcomes[0][1].items():
        assert (grad is None) == (outcomes[1][1][name] is None) == (
            "embeddings" in name or "blocks.1" in name)
        assert grad is None or np.array_equal(grad, outcomes[1][1][name])


def test_gradients_add_up_and_a_graph_can_be_kept():
    model = small(mb.GPT2Model, **dropout(mb.GPT2Model, 0.3)).train()
    model.gradient_checkpointing = True
    loss = weighted_sum(model(**batch(mb.GPT2Model), rng=np.random.default_rng(0)))
    loss.backward(retain_graph=True)
    once = {name: parameter.grad.copy() for name, parameter in model.named_parameters()}
    loss.backward()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad, 2 * once[name], rtol=1e-12, atol=1e-12)
    with pytest.raises(RuntimeError, match="already walked"):
        loss.backward()


def test_weights_replaced_in_between_are_noticed():
    model = small(mb.GPT2Model)
    model.gradient_checkpointing = True
    loss = weighted_sum(model(**batch(mb.GPT2Model)))
    model.stack.blocks[0].feed_forward.expand.weight.data *= 2
    with pytest.raises(RuntimeError, match="of checkpoint was replaced after the forward"):
        loss.backward()


def test_weights_of_attention_can_still_be_asked_for():
    model = small(mb.BertModel)
    model.gradient_checkpointing = True
    output = model(**batch(mb.BertModel), output_attentions=True)
    assert len(output.attentions) == 2 and output.attentions[0].requires_grad
    weighted_sum(output).backward()


def test_only_the_inputs_of_blocks_are_kept():
    model = small(mb.GPT2Model, n_layer=8, n_positions=64)
    inputs = batch(mb.GPT2Model, rows=4, tokens=64)
    held, peaks = [], []
    for model.gradient_checkpointing in (False, True):
        model.zero_grad()
        tracemalloc.start()
        loss = weighted_sum(model(**inputs))
        held.append(tracemalloc.get_traced_memory()[0])
        loss.backward()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert held[1] < held[0] / 5 and peaks[1] < peaks[0] / 3


def test_workers_keep_their_gradients_apart():
    model = small(mb.GPT2Model)
    model.gradient_checkpointing = True
    parameters, grads = list(model.parameters()), []
    inputs = batch(mb.GPT2Model)

    def work(worker):
        (weighted_sum(model(**inputs)) * (worker + 1.0)).backward()

    for count in (1, 3):
        model.zero_grad()
        if count == 1:
            work(5)
        else:
            Workers(parameters, count).run(work)
        grads.append([parameter.grad.copy() for parameter in parameters])
    for one, other in zip(*grads):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-10)


# ---- what watches sees ---------------------------------------------------------------------------


def test_a_trace_names_the_modules_of_both_forwards():
    model = small(mb.GPT2Model)
    model.gradient_checkpointing = True
    with mb.trace() as seen:
        weighted_sum(model(**batch(mb.GPT2Model))).backward()
    forward = [record for record in seen.records if record.phase == "forward"]
    backward = [record for record in seen.records if record.phase == "backward"]
    names = [record.module for record in forward if record.op == "linear_gelu"]
    assert len(names) == 4 and names == names[:2] + names[1::-1] and "blocks.0" in names[0]
    assert {record.module for record in backward if record.op == "linear_gelu"} == set(names)
    assert [record.op for record in forward].count("checkpoint") == 2


def test_whoever_watches_the_way_back_sees_the_second_forward():
    model = small(mb.GPT2Model)
    model.gradient_checkpointing = True
    with mb.trace() as first:
        loss = weighted_sum(model(**batch(mb.GPT2Model)))
    count = len(first.records)
    with mb.trace() as second:
        loss.backward()
    assert len(first.records) == count
    assert [r.op for r in second.records if r.phase == "forward"].count("linear_gelu") == 2


def test_two_frames_more_than_without():
    stacks = []

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "linear_gelu_node_backward":
            stack = []
            while frame.f_code is not user.__code__:
                stack.append(frame.f_code.co_name)
                frame = frame.f_back
            stacks.append(stack)

    def user(loss):
        loss.backward()

    model = small(mb.GPT2Model)
    for model.gradient_checkpointing in (False, True):
        loss = weighted_sum(model(**batch(mb.GPT2Model)))
        sys.setprofile(profile)
        try:
            user(loss)
        finally:
            sys.setprofile(None)
    node = "linear_gelu_node_backward"
    assert stacks[0] == [node, "backward"]
    assert stacks[-1] == [node, "backward", "checkpoint_backward", "backward"]


def test_nothing_is_run_twice_without_a_graph():
    runs = []

    def doubled(rng, x):
        runs.append(x)
        return x * 2.0

    x = mb.Tensor(np.ones(3), requires_grad=True)
    with no_grad():
        assert not checkpoint(doubled, [x], []).requires_grad
    checkpoint(doubled, [x.detach()], [])
    assert len(runs) == 2
    result = checkpoint(doubled, [x], [])
    result.sum().backward()
    assert len(runs) == 4 and x.grad.tolist() == [2.0] * 3
