"""BERT's blocks, given GPT-2's weights, norm order, GELU and mask, are GPT-2's."""

import numpy as np
from tests.models.small_models import batch, bert_config, small

import minibert as mb
from minibert.nn.block import AttentionInputs

CAUSAL = AttentionInputs(is_causal=True)


def test_berts_blocks_reproduce_gpt2_to_the_bit():
    gpt = small(mb.GPT2Model)
    bert = mb.BertModel(bert_config(norm_first=True, hidden_act="gelu_new")).double()
    bert.stack.load_state_dict(gpt.stack.state_dict())
    output = gpt(**batch(mb.GPT2Model), output_hidden_states=True)

    states = []
    bert.stack(output.hidden_states[0], CAUSAL, states)
    assert len(states) == 3
    for ours, theirs in zip(states, output.hidden_states):
        np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(states[-1].data, output.last_hidden_state.data)


def test_the_three_differences_make_a_difference():
    gpt = small(mb.GPT2Model)
    x = gpt(**batch(mb.GPT2Model), output_hidden_states=True).hidden_states[0]
    same = gpt.stack(x, CAUSAL).data
    exact = mb.BertModel(bert_config(norm_first=True)).double()
    exact.stack.load_state_dict(gpt.stack.state_dict())
    post = mb.BertModel(bert_config(hidden_act="gelu_new")).double()
    post.stack.load_state_dict({name: array for name, array in gpt.stack.state_dict().items()
                                if not name.startswith("final_norm")})
    for other in (gpt.stack(x), exact.stack(x, CAUSAL), post.stack(x, CAUSAL)):
        assert abs(other.data - same).max() > 1e-6
