"""Small models with random weights, and the data of the pages that are made of them."""

import base64
import json
import re

import numpy as np

import minibert as mb
from minibert.look.data import new_data
from minibert.look.subject import make_subject

WORDS = "the bank is muddy deep . a ##s river he sat by".split()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
C = 12


def tokenizer(*extra: str) -> mb.BertTokenizer:
    """WordPiece over WORDS; `extra` are further special tokens, found in a text as they are."""
    return mb.BertTokenizer([*SPECIALS, *WORDS, *extra], extra_special_tokens=extra)


def spread(model, seed=7):
    """Weights large enough for attention to differ from place to place."""
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        noise = rng.normal(0, 0.4, parameter.shape).astype(np.float32)
        parameter.data = noise + (1 if name.endswith("norm.weight") else 0)
    return model


def bert(words: mb.BertTokenizer, cls=mb.BertForPreTraining, **changes):
    return spread(cls(mb.BertConfig(**(dict(
        vocab_size=len(words), hidden_size=C, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=10, max_position_embeddings=40, hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1) | changes))))


def gpt(words: mb.BertTokenizer, **changes):
    return spread(mb.GPT2LMHeadModel(mb.GPT2Config(**(dict(
        vocab_size=len(words), n_embd=C, n_layer=2, n_head=3, n_positions=40, n_inner=10,
        bos_token_id=3, eos_token_id=3) | changes))), 8)


def data_of(add, model, words, text, *options, **reading) -> dict:
    """The data with one view alone: `add(data, [subject], *options)`."""
    subject = make_subject("GPT" if "GPT" in type(model).__name__ else "BERT", model, words, text,
                           **reading)
    data = new_data([subject], "look")
    add(data, [subject], *options)
    return data


def data_in(page: str) -> dict:
    """The data of an HTML page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page,
                                re.DOTALL)[1])


def array_in(data: dict, name: str) -> np.ndarray:
    """An array of float32 in the data of a page."""
    entry = data["arrays"][name]
    return np.frombuffer(base64.b64decode(entry["f32"]), "<f4").reshape(entry["shape"])
