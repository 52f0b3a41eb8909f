"""The exercises of demos/exercises in their order, and the parts that check each."""

from __future__ import annotations

from pathlib import Path

from tests.exercises.checker import Part
from tests.exercises.checks import (adamw, attention, block, bpe, cross_entropy, graph_walk,
                                    kv_cache, layer_norm, masked_lm, masks, sentence_pairs,
                                    softmax, top_p, unbroadcast, wordpiece)

FOLDER = Path(__file__).resolve().parents[2] / "demos" / "exercises"

LADDER: dict[str, tuple[Part, ...]] = {
    "01_unbroadcast": unbroadcast.PARTS,
    "02_graph_walk": graph_walk.PARTS,
    "03_softmax_backward": softmax.PARTS,
    "04_layer_norm_backward": layer_norm.PARTS,
    "05_attention": attention.FORWARD,
    "06_attention_backward": attention.BACKWARD,
    "07_masks": masks.PARTS,
    "08_wordpiece": wordpiece.PARTS,
    "09_byte_pair_encoding": bpe.PARTS,
    "10_masked_words": masked_lm.PARTS,
    "11_sentence_pairs": sentence_pairs.PARTS,
    "12_cross_entropy": cross_entropy.PARTS,
    "13_adamw": adamw.PARTS,
    "14_top_p": top_p.PARTS,
    "15_block": block.PARTS,
    "16_key_value_cache": kv_cache.PARTS}
