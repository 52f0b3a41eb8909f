"""The hook point itself; what models do with it is in tests/models/test_activations.py."""

import numpy as np
import pytest

import minibert as mb
from minibert.autograd.hooks import full_name, hook_point, is_watched, watch_points


def test_without_a_watcher_the_tensor_itself_comes_back():
    x = mb.Tensor(np.ones(2))
    assert hook_point("hook_z", x) is x and not is_watched()


def test_outside_of_its_model_a_watcher_is_not_called():
    x = mb.Tensor(np.ones(2))
    with watch_points(object(), None):
        assert hook_point("hook_z", x) is x and is_watched()


@pytest.mark.parametrize("path, name, expected", [
    ("bert.stack.blocks.0.attention", "hook_z", "blocks.0.attn.hook_z"),
    ("stack.blocks.10.attention", "hook_attn_out", "blocks.10.hook_attn_out"),
    ("transformer.stack.blocks.1.feed_forward.expand", "hook_pre", "blocks.1.mlp.hook_pre"),
    ("transformer.stack.blocks.1.feed_forward", "hook_mlp_out", "blocks.1.hook_mlp_out"),
    ("stack.blocks.1.attention_norm", "hook_scale", "blocks.1.ln1.hook_scale"),
    ("stack.blocks.1.feed_forward_norm", "hook_scale", "blocks.1.ln2.hook_scale"),
    ("stack.final_norm", "hook_normalized", "ln_final.hook_normalized"),
    ("bert.embeddings", "hook_embed", "hook_embed"),
    ("bert.embeddings.norm", "hook_scale", "embed.ln.hook_scale"),
    ("mlm_head.dense", "hook_post", "mlm_head.hook_post"),
    ("mlm_head.norm", "hook_scale", "mlm_head.ln.hook_scale"), ("", "hook_logits", "hook_logits")])
def test_full_names(path, name, expected):
    assert full_name(path, name) == expected
