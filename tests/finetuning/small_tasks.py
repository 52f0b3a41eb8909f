"""A vocabulary, tiny models and a few examples for the tests of this room."""

import numpy as np

from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.tasks.sentences import Classification
from minibert.models.config import BertConfig, GPT2Config
from minibert.tokenizers.byte_level_pre_tokenizer import BYTE_TO_CHAR
from minibert.tokenizers.roberta import SPECIALS, RobertaTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer

# "unhappy" is two pieces, "rereread" four; what is not here is [UNK].
WORDS = ["a", "b", "c", "d", "e", "good", "bad", "not", "very", ".", "un", "##happy", "re", "##re",
         "##a", "##d", "我", "住", "在", "北", "京", "?", ","]
TOKENIZER = BertTokenizer([*"[PAD] [UNK] [CLS] [SEP] [MASK]".split(), *WORDS])
MERGES = [("Ġ", "a"), ("Ġ", "b"), ("o", "o"), ("oo", "d")]
ROBERTA_TOKENIZER = RobertaTokenizer([*dict.fromkeys(SPECIALS.values()), *BYTE_TO_CHAR.values(),
                                      *map("".join, MERGES)], MERGES)


def reading(max_length: int = 12, overlap: int = 2, **more) -> Reading:
    return Reading(TOKENIZER, max_length, overlap, **more)


def bert_config(**changes) -> BertConfig:
    return BertConfig(**(dict(
        vocab_size=TOKENIZER.vocab_size, hidden_size=12, num_hidden_layers=2,
        num_attention_heads=3, intermediate_size=16, max_position_embeddings=24,
        hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1) | changes))


def gpt2_config(**changes) -> GPT2Config:
    return GPT2Config(**(dict(
        vocab_size=TOKENIZER.vocab_size, n_embd=12, n_layer=2, n_head=3, n_positions=24,
        resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1, bos_token_id=3, eos_token_id=3)
        | changes))


def small(task, seed: int = 0, **changes):
    """A model for the task, float64, with weights of honest size."""
    config = (gpt2_config if task.reading.left_to_right else bert_config)(**changes)
    model = fresh_model(task, config, seed).double()
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        parameter.data = mean + 0.4 * rng.normal(size=parameter.shape)
    return model


def sentences(count: int, rng: np.random.Generator, longest: int = 8) -> list[SentenceExample]:
    """Texts of the first five words; "pos" are those with more a than b."""
    examples = []
    for i in range(count):
        words = rng.choice(list("abcde"), size=rng.integers(1, longest + 1)).tolist()
        label = "pos" if words.count("a") > words.count("b") else "neg"
        examples.append(SentenceExample(" ".join(words), None, label, f"train.tsv, line {i + 2}"))
    return examples


def classification(**more) -> Classification:
    reads = {name: more.pop(name) for name in ("max_length", "overlap", "left_to_right")
             if name in more}
    return Classification(reading(**reads), ("neg", "pos"), **more)
