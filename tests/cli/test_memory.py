"""The lower bound on memory: never above what is taken, and far above for what is impossible."""

import pytest

import minibert as mb
from minibert.cli.memory import COPIES, check_memory, least_memory, physical_memory
from minibert.errors import InputError
from minibert.models.architectures import ARCHITECTURES, architecture_of
from minibert.training.optim import OPTIMIZERS, decay_groups


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_takes_at_least_the_estimate(architecture):
    bert = {"hidden_size": 96, "num_hidden_layers": 3, "intermediate_size": 384}
    names = {"bert": bert, "gpt": {"n_embd": 96, "n_layer": 3}, "roberta": bert,
             "bart": {"d_model": 96, "encoder_layers": 3},
             "distilbert": {"dim": 96, "n_layers": 3, "hidden_dim": 384}}
    config = architecture.config_class(vocab_size=500, **names[architecture.name])
    model_class = architecture.pretraining
    weights = sum([parameter.size for parameter in model_class(config).parameters()])
    least = least_memory(model_class, config, batch=1, context=1)
    assert least == 4 * (3 * weights + 96) + 3 * 10_000
    assert least_memory(model_class, config, 7, 11) - least == 4 * 96 * (7 * 11 - 1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_optimizer_has_less_than_the_copies_that_are_counted(optimizer):
    config = mb.BertConfig(vocab_size=50, hidden_size=96, intermediate_size=384)
    model = mb.BertForPreTraining(config)
    groups, _, _ = decay_groups(model, 0.01)
    moments = OPTIMIZERS[optimizer](OPTIMIZERS[optimizer].split_groups(model, groups))
    weights = 4 * sum([parameter.size for parameter in model.parameters()])
    assert COPIES * weights <= 2 * weights + moments.moment_bytes()


@pytest.mark.parametrize("config, batch", [
    (mb.GPT2Config(n_layer=10**9), 1), (mb.BertConfig(num_hidden_layers=10**9, hidden_size=1,
                                                      num_attention_heads=1), 1),
    (mb.BertConfig(hidden_size=12 * 10**9), 1), (mb.GPT2Config(vocab_size=10**12), 1),
    (mb.GPT2Config(n_positions=10**12), 1), (mb.GPT2Config(), 10**10)])
def test_what_no_machine_can_hold_is_refused(config, batch):
    with pytest.raises(InputError, match="not enough memory: .* try a smaller --layers"):
        check_memory(architecture_of(config.to_dict()).bare, config, batch, 1024)


def test_where_the_system_does_not_say_nothing_is_refused(monkeypatch):
    check_memory(mb.GPT2Model, mb.GPT2Config(n_layer=1, n_embd=12), 1, 10)
    assert physical_memory() > 2**28
    monkeypatch.setattr("minibert.cli.memory.physical_memory", lambda: None)
    check_memory(mb.GPT2Model, mb.GPT2Config(n_embd=12), 10**12, 1024)
