"""Writes minibert/checkpoints/README.md from the tables of folder_keys.py.

    python -m tests.checkpoints.make_readme
"""

from pathlib import Path

from minibert.checkpoints import folder_keys as keys

README = Path(keys.__file__).parent / "README.md"
HEAD = """\
# Hugging Face's folders: what is read, what is refused

Every file and key that transformers 4 and 5 and sentence-transformers write for BERT, GPT-2, BART,
RoBERTa, DistilBERT, WordPiece and byte-level BPE tokenizers. **used**: read and applied.
**harmless**: changes no id, text, vector or logit that is computed here. **only ...**: any other
value is an error that names the file and the key. A key that is not listed gives a warning that
names it. `folder_keys.py` holds the tables.

Where two files say different things (vocab.txt and tokenizer.json, do_lower_case and the
normalizer, added_tokens_decoder and added_tokens.json, tied weights that differ), the folder is
refused and both are named. An added token must have the id that transformers would give it: its own
in the vocabulary, or the next one. Of equal lines in vocab.txt the last one counts, and the id of a
line is its number; ids without a token decode to nothing. A special token that the vocabulary lacks
gets the next id, as in transformers; the model has no embedding for it, and a warning says so. In
tokenizer_config.json every other key that ends in _token and holds a text names a special token.
decode(skip_special_tokens=True) leaves out every special token; transformers 5.24 keeps those that
are `normalized` and that normalization changes ([MASK] becomes [mask]). The offsets behind a byte
that is no token point at the right place here; those of transformers are shifted.
"""
FILES = {
    **dict.fromkeys(["config.json", "model.safetensors", "model.safetensors.index.json",
                     "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                     "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json",
                     "merges.txt", "encoder.json", "vocab.bpe", "modules.json",
                     "sentence_bert_config.json", "config_sentence_transformers.json",
                     "1_Pooling/config.json"], keys.USED),
    # The module 2_Normalize has no options; pytorch_model.bin is refused where nothing else has the
    # weights.
    **dict.fromkeys(["2_Normalize/config.json", "pytorch_model.bin", "tf_model.h5",
                     "flax_model.msgpack", "rust_model.ot", "training_args.bin",
                     "chat_template.jinja", "README.md", ".gitattributes"], keys.HARMLESS),
    "adapter_config.json": "refused",
}
TABLES = (
    ("Files", FILES),
    ("tokenizer_config.json and special_tokens_map.json", keys.TOKENIZER_CONFIG),
    ("tokenizer.json", keys.TOKENIZER_JSON),
    ("tokenizer.json: model of type WordPiece", keys.MODEL_OF_TOKENIZER_JSON["WordPiece"]),
    ("tokenizer.json: model of type BPE", keys.MODEL_OF_TOKENIZER_JSON["BPE"]),
    ("config.json, beside the fields of BertConfig and GPT2Config", keys.CONFIG),
    ("generation_config.json (and such keys of an older config.json)", keys.GENERATION_CONFIG),
    ("sentence_bert_config.json", keys.SENTENCE_BERT_CONFIG),
    ("1_Pooling/config.json", keys.POOLING),
    ("config_sentence_transformers.json", keys.CONFIG_SENTENCE_TRANSFORMERS),
)
PIPELINE = """
## tokenizer.json: normalizer, pre_tokenizer, post_processor, decoder

A tokenizer_class without a method of its own (PreTrainedTokenizerFast, TokenizersBackend) applies
them; BertTokenizer and GPT2Tokenizer have their own, and theirs must not contradict the file.

| part | WordPiece | byte-level BPE |
|---|---|---|
| normalizer | BertNormalizer with clean_text true | null |
| pre_tokenizer | BertPreTokenizer | ByteLevel, add_prefix_space false, use_regex true |
| post_processor | null, BertProcessing, TemplateProcessing with each text once | null, ByteLevel \
with trim_offsets false, TemplateProcessing with bos_token and eos_token; for RoBERTa \
RobertaProcessing without add_prefix_space, TemplateProcessing with each text once |
| decoder | WordPiece with prefix ## and cleanup true | ByteLevel |

A BertTokenizer's or RobertaTokenizer's post_processor that is not its own has no effect, as in
transformers 5, and gives a warning. A RobertaTokenizer reads trim_offsets true and false.
"""


def render() -> str:
    """The whole README."""
    parts = [HEAD]
    for title, table in TABLES:
        parts.append(f"## {title}\n")
        groups: dict[str, list[str]] = {}
        for key, rule in table.items():
            if isinstance(rule, tuple):
                rule = "only " + " or ".join(f"`{value!r}`" for value in rule)
            groups.setdefault(rule, []).append(f"`{key}`")
        parts.append("| | |\n|---|---|\n" + "\n".join(
            f"| {rule} | {', '.join(names)} |" for rule, names in groups.items()) + "\n")
    return "\n".join(parts) + PIPELINE


if __name__ == "__main__":
    README.write_text(render(), encoding="utf-8")
