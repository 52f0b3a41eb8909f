"""Files and keys of Hugging Face's folders, and the use that is made of each.

The tables hold what transformers 4 and 5 and sentence-transformers write for BERT, GPT-2, BART,
RoBERTa, DistilBERT, WordPiece and byte-level BPE. USED: read and applied. HARMLESS: changes no id,
text, vector or logit that is computed here. A tuple: the only values that are read; every other
value is refused by name. A key that stands in no table gives a warning that names it. README.md of
this folder shows the tables.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from minibert.errors import InputError

USED, HARMLESS = "used", "harmless"
Rule = str | tuple

FILES: dict[str, str] = {
    "config.json": USED, "model.safetensors": USED, "model.safetensors.index.json": USED,
    "generation_config.json": USED, "tokenizer.json": USED, "tokenizer_config.json": USED,
    "special_tokens_map.json": USED, "added_tokens.json": USED, "vocab.txt": USED,
    "vocab.json": USED, "merges.txt": USED, "encoder.json": USED, "vocab.bpe": USED,
    "modules.json": USED, "sentence_bert_config.json": USED,
    "config_sentence_transformers.json": USED, "1_Pooling/config.json": USED,
    "2_Normalize/config.json": HARMLESS,  # sentence-transformers 6; the module has no options
    "pytorch_model.bin": HARMLESS,  # refused where it is the only file with weights
    "tf_model.h5": HARMLESS, "flax_model.msgpack": HARMLESS, "rust_model.ot": HARMLESS,
    "adapter_config.json": "refused",
    "training_args.bin": HARMLESS, "chat_template.jinja": HARMLESS,
    "README.md": HARMLESS, ".gitattributes": HARMLESS,
}

# Files of a tokenizer: a folder in which one is saved keeps no other tokenizer's.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                   "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "encoder.json",
                   "vocab.bpe", "characters.json")

_NO_TEXT = (None, "")
TOKENIZER_CONFIG: dict[str, Rule] = {
    "tokenizer_class": USED, "do_lower_case": USED, "strip_accents": USED,
    "tokenize_chinese_chars": USED, "model_max_length": USED, "max_len": USED,
    "padding_side": USED, "truncation_side": USED, "model_input_names": USED,
    "clean_up_tokenization_spaces": USED, "added_tokens_decoder": USED,
    "extra_special_tokens": USED, "additional_special_tokens": USED, "bos_token": USED,
    "eos_token": USED, "unk_token": USED, "sep_token": USED, "pad_token": USED,
    "cls_token": USED, "mask_token": USED, "add_bos_token": USED, "add_eos_token": USED,
    # slow tokenizers of transformers 4
    "do_basic_tokenize": (True,), "never_split": (None, []), "wordpieces_prefix": ("##",),
    "errors": ("replace",), "add_prefix_space": (False, None), "trim_offsets": USED,
    "split_special_tokens": (False,), "pad_token_type_id": (0,), "auto_map": (None, {}),
    "do_word_tokenize": (True,), "do_subword_tokenize": (True,),
    "word_tokenizer_type": ("basic",), "subword_tokenizer_type": ("wordpiece",),
    "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": (False,),
    "fix_mistral_regex": (False, None), "gguf_file": _NO_TEXT,
    # arguments of a single call, or of no call
    "max_length": HARMLESS, "stride": HARMLESS, "truncation_strategy": HARMLESS,
    "pad_to_multiple_of": HARMLESS, "return_tensors": HARMLESS, "verbose": HARMLESS,
    # where the tokenizer came from
    "name_or_path": HARMLESS, "special_tokens_map_file": HARMLESS, "tokenizer_file": HARMLESS,
    "vocab_file": HARMLESS, "merges_file": HARMLESS, "full_tokenizer_file": HARMLESS,
    "added_tokens_file": HARMLESS, "init_inputs": HARMLESS, "processor_class": HARMLESS,
    "use_fast": HARMLESS, "from_slow": HARMLESS, "legacy": HARMLESS, "backend": HARMLESS,
    "is_local": HARMLESS, "local_files_only": HARMLESS, "files_loaded": HARMLESS,
    "transformers_version": HARMLESS, "device_map": HARMLESS, "trust_remote_code": HARMLESS,
    "_commit_hash": HARMLESS, "revision": HARMLESS, "token": HARMLESS, "cache_dir": HARMLESS,
    # chats, which are texts made before tokenizing
    "chat_template": HARMLESS, "response_template": HARMLESS, "response_schema": HARMLESS,
    "chat_control_tokens": HARMLESS,
}

# tokenizer.json: its parts are checked one by one in tokenizers/tokenizer_json.py.
TOKENIZER_JSON: dict[str, Rule] = {
    "version": ("1.0",), "added_tokens": USED, "normalizer": USED, "pre_tokenizer": USED,
    "post_processor": USED, "decoder": USED, "model": USED,
    "truncation": USED, "padding": USED,  # their sides; lengths are arguments of a call
}
MODEL_OF_TOKENIZER_JSON: dict[str, dict[str, Rule]] = {
    "WordPiece": {"type": USED, "vocab": USED, "unk_token": USED, "max_input_chars_per_word": USED,
                  "continuing_subword_prefix": ("##",)},
    "BPE": {"type": USED, "vocab": USED, "merges": USED, "unk_token": USED, "dropout": (None, 0),
            "continuing_subword_prefix": _NO_TEXT, "end_of_word_suffix": _NO_TEXT,
            "fuse_unk": HARMLESS, "byte_fallback": (False,), "ignore_merges": (False,)},
}

# What a config.json holds beside the fields of BertConfig, GPT2Config and BartConfig.
CONFIG: dict[str, Rule] = {
    "model_type": USED, "architectures": USED, "label2id": USED, "finetuning_task": HARMLESS,
    "is_decoder": (False,), "add_cross_attention": (False,), "is_encoder_decoder": (False,),
    "position_embedding_type": ("absolute",), "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,), "pruned_heads": (None, {}),
    "quantization_config": (None,), "tie_encoder_decoder": (False,),
    "chunk_size_feed_forward": HARMLESS,  # the same numbers, computed in pieces
    "reorder_and_upcast_attn": HARMLESS, "use_cache": HARMLESS, "gradient_checkpointing": HARMLESS,
    "torchscript": HARMLESS, "torch_dtype": HARMLESS, "dtype": HARMLESS, "n_ctx": HARMLESS,
    "output_past": HARMLESS, "output_attentions": HARMLESS, "output_hidden_states": HARMLESS,
    "return_dict": HARMLESS, "use_bfloat16": HARMLESS, "tf_legacy_loss": HARMLESS,
    "transformers_version": HARMLESS, "_name_or_path": HARMLESS, "name_or_path": HARMLESS,
    "attn_implementation": HARMLESS, "_attn_implementation": HARMLESS,
    "tokenizer_class": USED, "prefix": HARMLESS, "task_specific_params": HARMLESS,
    "directionality": HARMLESS, "pooler_fc_size": HARMLESS, "pooler_num_attention_heads": HARMLESS,
    "pooler_num_fc_layers": HARMLESS, "pooler_size_per_head": HARMLESS, "pooler_type": HARMLESS,
    "summary_activation": HARMLESS, "summary_first_dropout": HARMLESS,
    "summary_proj_to_labels": HARMLESS, "summary_type": HARMLESS, "summary_use_proj": HARMLESS,
    "bos_token_id": USED, "eos_token_id": USED, "sep_token_id": HARMLESS, "cls_token_id": HARMLESS,
    "decoder_start_token_id": HARMLESS, "cross_attention_hidden_size": HARMLESS,
    # BART, and the options that its first config.json files had for other models
    "static_position_embeddings": (False,), "extra_pos_embeddings": (2,),
    "normalize_before": (False,), "normalize_embedding": (True,), "add_final_layer_norm": (False,),
    "add_bias_logits": (False,), "encoder_layerdrop": (0,), "decoder_layerdrop": (0,),
    # DistilBERT: stored positions are read however they were drawn
    "sinusoidal_pos_embds": HARMLESS, "tie_weights_": HARMLESS,
    "classif_dropout": HARMLESS, "classifier_dropout": HARMLESS,  # no classifier of it here
}

# generation_config.json; generate reads the same keys of an older config.json, too.
GENERATION_CONFIG: dict[str, Rule] = {
    "max_new_tokens": USED, "max_length": USED, "do_sample": USED, "temperature": USED,
    "top_k": USED, "top_p": USED, "repetition_penalty": USED, "num_beams": USED,
    "length_penalty": USED, "early_stopping": USED, "num_return_sequences": USED,
    "eos_token_id": USED, "pad_token_id": USED, "suppress_tokens": USED,
    "min_length": (None, 0), "min_new_tokens": (None, 0), "max_time": (None,),
    "stop_strings": (None,), "min_p": (None,), "top_h": (None,), "typical_p": (None, 1.0),
    "epsilon_cutoff": (None, 0.0), "eta_cutoff": (None, 0.0), "no_repeat_ngram_size": (None, 0),
    "bad_words_ids": (None,), "force_words_ids": (None,), "constraints": (None,),
    "forced_bos_token_id": USED, "forced_eos_token_id": USED,
    "begin_suppress_tokens": (None,), "exponential_decay_length_penalty": (None,),
    "sequence_bias": (None,), "guidance_scale": (None, 1.0), "watermarking_config": (None,),
    "penalty_alpha": (None, 0.0), "num_beam_groups": (None, 1), "diversity_penalty": (None, 0.0),
    "dola_layers": (None,), "token_healing": (None, False), "renormalize_logits": (None, False),
    "remove_invalid_values": (None, False), "prompt_lookup_num_tokens": (None,),
    "cache_implementation": HARMLESS, "cache_config": HARMLESS, "max_cache_len": HARMLESS,
    "use_cache": HARMLESS, "low_memory": HARMLESS, "prefill_chunk_size": HARMLESS,
    "encoder_no_repeat_ngram_size": (None, 0), "encoder_repetition_penalty": (None, 1.0),
    "output_attentions": HARMLESS, "output_hidden_states": HARMLESS, "output_scores": HARMLESS,
    "output_logits": HARMLESS, "return_dict_in_generate": HARMLESS,
    "bos_token_id": HARMLESS,  # an empty prompt is refused
    "decoder_start_token_id": HARMLESS, "is_assistant": HARMLESS, "use_mtp": HARMLESS,
    "num_assistant_tokens": HARMLESS, "num_assistant_tokens_schedule": HARMLESS,
    "assistant_confidence_threshold": HARMLESS, "max_matching_ngram_size": HARMLESS,
    "assistant_early_exit": HARMLESS, "assistant_lookbehind": HARMLESS,
    "target_lookbehind": HARMLESS, "assistant_ensemble_weight": HARMLESS,
    "speculation_type": HARMLESS, "compile_config": HARMLESS, "disable_compile": HARMLESS,
    "continuous_batching_config": HARMLESS, "generation_kwargs": (None, {}),
    "_from_model_config": HARMLESS, "transformers_version": HARMLESS, "_commit_hash": HARMLESS,
}

# sentence-transformers: modules.json is a list, its paths and types are read by cli/pooling.py.
SENTENCE_BERT_CONFIG: dict[str, Rule] = {
    "max_seq_length": USED, "do_lower_case": (False,), "transformer_task": ("feature-extraction",),
    "modality_config": HARMLESS, "module_output_name": ("token_embeddings", None),
    "model_args": HARMLESS, "tokenizer_args": HARMLESS, "config_args": HARMLESS,
    "processing_kwargs": (None, {}), "unpad_inputs": HARMLESS, "message_format": HARMLESS,
    "track_media_counts": HARMLESS,
}
POOLING: dict[str, Rule] = {
    "word_embedding_dimension": HARMLESS, "embedding_dimension": HARMLESS, "pooling_mode": USED,
    "pooling_mode_cls_token": USED, "pooling_mode_mean_tokens": USED,
    "pooling_mode_max_tokens": USED, "pooling_mode_mean_sqrt_len_tokens": USED,
    "pooling_mode_weightedmean_tokens": USED, "pooling_mode_lasttoken": USED,
    "include_prompt": HARMLESS,  # no prompt is added here
}
CONFIG_SENTENCE_TRANSFORMERS: dict[str, Rule] = {
    "__version__": HARMLESS, "model_type": ("SentenceTransformer",), "prompts": HARMLESS,
    "default_prompt_name": (None,), "similarity_fn_name": HARMLESS,
    "truncate_dim": (None,),
}


def check_keys(where: object, values: Mapping, rules: Mapping[str, Rule],
               stacklevel: int = 3) -> None:
    """Hold the keys of a JSON file against a table of rules; `where` begins a message.

    Errors: InputError for a value that is not among those of its rule. Warns of keys that the
    table does not have.
    """
    unknown = []
    for key, value in values.items():
        rule = rules.get(key)
        if rule is None:
            unknown.append(key)
        elif isinstance(rule, tuple) and not any(_same(value, known) for known in rule):
            known = " or ".join(repr(value) for value in rule)
            raise InputError(f"{where}: {key} is {value!r:.60}: only {known} is supported")
    if unknown:
        names = ", ".join(f"{key!r:.60}" for key in unknown[:8])
        warnings.warn(f"{where}: unknown keys, which have no effect: {names}",
                      stacklevel=stacklevel)


def _same(value: object, known: object) -> bool:
    """Equal, and both or neither a boolean: 0 is not False."""
    return isinstance(value, bool) == isinstance(known, bool) and value == known
