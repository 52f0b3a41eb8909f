"""Keys of the JSON files in Hugging Face's folders, and the use that is made of each.

The tables hold what transformers 4 and 5 and sentence-transformers write for BERT, GPT-2, BART,
RoBERTa, DistilBERT, WordPiece and byte-level BPE. USED: read and applied. HARMLESS: changes no id,
text, vector or logit that is computed here. A tuple: the only values that are read; every other
value is refused by name. A key that stands in no table gives a warning that names it. README.md of
this folder shows the tables, and the files.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from minibert.errors import InputError

USED, HARMLESS = "used", "harmless"
Rule = str | tuple

# Files of a tokenizer: a folder in which one is saved keeps no other tokenizer's.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                   "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "encoder.json",
                   "vocab.bpe", "characters.json")


def _each(rule: Rule, keys: str) -> dict[str, Rule]:
    """One rule for all keys of a text."""
    return dict.fromkeys(keys.split(), rule)


TOKENIZER_CONFIG = {
    **_each(USED, """
        tokenizer_class do_lower_case strip_accents tokenize_chinese_chars model_max_length max_len
        padding_side truncation_side model_input_names clean_up_tokenization_spaces
        added_tokens_decoder extra_special_tokens additional_special_tokens bos_token eos_token
        unk_token sep_token pad_token cls_token mask_token add_bos_token add_eos_token
        trim_offsets"""),
    **_each((True,), "do_basic_tokenize do_word_tokenize do_subword_tokenize"),
    **_each((False, None), "add_prefix_space fix_mistral_regex"),
    **_each((False,), """split_special_tokens
        clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"""),
    "never_split": (None, []), "wordpieces_prefix": ("##",), "errors": ("replace",),
    "pad_token_type_id": (0,), "auto_map": (None, {}), "gguf_file": (None, ""),
    "word_tokenizer_type": ("basic",), "subword_tokenizer_type": ("wordpiece",),
    # arguments of a call, the tokenizer's origin, chats (texts made before tokenizing)
    **_each(HARMLESS, """
        max_length stride truncation_strategy pad_to_multiple_of return_tensors verbose name_or_path
        special_tokens_map_file tokenizer_file vocab_file merges_file full_tokenizer_file
        added_tokens_file init_inputs processor_class use_fast from_slow legacy backend is_local
        local_files_only files_loaded transformers_version device_map trust_remote_code _commit_hash
        revision token cache_dir chat_template response_template response_schema
        chat_control_tokens"""),
}

# tokenizer.json: its parts are checked one by one in tokenizers/tokenizer_json.py; of truncation
# and padding the sides count, lengths are arguments of a call.
TOKENIZER_JSON = {
    "version": ("1.0",),
    **_each(USED, """added_tokens normalizer pre_tokenizer post_processor decoder model truncation
                     padding"""),
}
MODEL_OF_TOKENIZER_JSON = {
    "WordPiece": {**_each(USED, "type vocab unk_token max_input_chars_per_word"),
                  "continuing_subword_prefix": ("##",)},
    "BPE": {**_each(USED, "type vocab merges unk_token"), "dropout": (None, 0),
            **_each((None, ""), "continuing_subword_prefix end_of_word_suffix"),
            "fuse_unk": HARMLESS, **_each((False,), "byte_fallback ignore_merges")},
}

# What a config.json holds beside the fields of a config's class: the tokenizer reads its class,
# generate the ids of tokens; BART's first files have the options of other models.
CONFIG = {
    **_each(USED, "model_type architectures label2id tokenizer_class bos_token_id eos_token_id"),
    **_each((False,), """
        is_decoder add_cross_attention is_encoder_decoder scale_attn_by_inverse_layer_idx
        tie_encoder_decoder static_position_embeddings normalize_before add_final_layer_norm
        add_bias_logits"""),
    **_each((True,), "scale_attn_weights normalize_embedding"),
    **_each((0,), "encoder_layerdrop decoder_layerdrop"),
    "position_embedding_type": ("absolute",), "pruned_heads": (None, {}),
    "quantization_config": (None,), "extra_pos_embeddings": (2,),
    # chunk_size_feed_forward: the same numbers, computed in pieces. DistilBERT: its positions are
    # stored however they were drawn (sinusoidal_pos_embds), and no class here has its dropouts.
    **_each(HARMLESS, """
        finetuning_task chunk_size_feed_forward reorder_and_upcast_attn use_cache
        gradient_checkpointing torchscript torch_dtype dtype n_ctx output_past output_attentions
        output_hidden_states return_dict use_bfloat16 tf_legacy_loss transformers_version
        _name_or_path name_or_path attn_implementation _attn_implementation prefix
        task_specific_params directionality pooler_fc_size pooler_num_attention_heads
        pooler_num_fc_layers pooler_size_per_head pooler_type summary_activation
        summary_first_dropout summary_proj_to_labels summary_type summary_use_proj sep_token_id
        cls_token_id decoder_start_token_id cross_attention_hidden_size sinusoidal_pos_embds
        tie_weights_ classif_dropout classifier_dropout"""),
}

# generation_config.json; generate reads the same keys of an older config.json, too. An empty prompt
# is refused, so a bos_token_id is never needed.
GENERATION_CONFIG = {
    **_each(USED, """
        max_new_tokens max_length do_sample temperature top_k top_p repetition_penalty num_beams
        length_penalty early_stopping num_return_sequences eos_token_id pad_token_id suppress_tokens
        forced_bos_token_id forced_eos_token_id"""),
    **_each((None, 0), """min_length min_new_tokens no_repeat_ngram_size
                          encoder_no_repeat_ngram_size"""),
    **_each((None,), """
        max_time stop_strings min_p top_h bad_words_ids force_words_ids constraints
        begin_suppress_tokens exponential_decay_length_penalty sequence_bias watermarking_config
        dola_layers prompt_lookup_num_tokens"""),
    **_each((None, 1.0), "typical_p guidance_scale encoder_repetition_penalty"),
    **_each((None, 0.0), "epsilon_cutoff eta_cutoff penalty_alpha diversity_penalty"),
    **_each((None, False), "token_healing renormalize_logits remove_invalid_values"),
    "num_beam_groups": (None, 1), "generation_kwargs": (None, {}),
    **_each(HARMLESS, """
        cache_implementation cache_config max_cache_len use_cache low_memory prefill_chunk_size
        output_attentions output_hidden_states output_scores output_logits return_dict_in_generate
        bos_token_id decoder_start_token_id is_assistant use_mtp num_assistant_tokens
        num_assistant_tokens_schedule assistant_confidence_threshold max_matching_ngram_size
        assistant_early_exit assistant_lookbehind target_lookbehind assistant_ensemble_weight
        speculation_type compile_config disable_compile continuous_batching_config
        _from_model_config transformers_version _commit_hash"""),
}

# sentence-transformers: modules.json is a list, its paths and types are read by cli/embed.py. No
# prompt is added here.
SENTENCE_BERT_CONFIG = {
    "max_seq_length": USED, "do_lower_case": (False,), "transformer_task": ("feature-extraction",),
    "module_output_name": ("token_embeddings", None), "processing_kwargs": (None, {}),
    **_each(HARMLESS, """modality_config model_args tokenizer_args config_args unpad_inputs
                         message_format track_media_counts"""),
}
POOLING = {
    **_each(USED, """
        pooling_mode pooling_mode_cls_token pooling_mode_mean_tokens pooling_mode_max_tokens
        pooling_mode_mean_sqrt_len_tokens pooling_mode_weightedmean_tokens
        pooling_mode_lasttoken"""),
    **_each(HARMLESS, "word_embedding_dimension embedding_dimension include_prompt"),
}
CONFIG_SENTENCE_TRANSFORMERS = {
    "model_type": ("SentenceTransformer",), **_each((None,), "default_prompt_name truncate_dim"),
    **_each(HARMLESS, "__version__ prompts similarity_fn_name"),
}


def check_keys(where: object, values: Mapping, rules: Mapping[str, Rule],
               stacklevel: int = 3) -> None:
    """Hold the keys of a JSON file against a table of rules; `where` begins a message. Errors:
    InputError for a value that is not among those of its rule. Warns of keys that the table does
    not have."""
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
