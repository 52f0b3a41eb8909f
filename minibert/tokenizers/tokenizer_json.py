"""tokenizer.json: the pipeline of Hugging Face's tokenizers, applied or refused part by part.

The parts are normalizer, pre_tokenizer, model, post_processor and decoder. Each is read where it
describes what BertTokenizer or GPT2Tokenizer computes here; any other part is an InputError that
names the field.
"""

from collections.abc import Mapping
from pathlib import Path

from minibert.checkpoints.folder_keys import MODEL_OF_TOKENIZER_JSON, check_keys
from minibert.errors import InputError

_WORDPIECE_DECODER = {"type": "WordPiece", "prefix": "##", "cleanup": True}
_BERT_NORMALIZER = {"do_lower_case": "lowercase", "strip_accents": "strip_accents",
                    "tokenize_chinese_chars": "handle_chinese_chars"}


def model_of(path: Path, content: Mapping, kind: str) -> Mapping:
    """Field model, checked to be of `kind` ("WordPiece" or "BPE") with its vocabulary."""
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type", kind) != kind \
            or not isinstance(model.get("vocab"), dict) \
            or (kind == "BPE" and not isinstance(model.get("merges"), list)):
        parts = "vocab" if kind == "WordPiece" else "vocab and merges"
        raise InputError(f"{path}: field model: expected {kind} with its {parts}")
    check_keys(path, model, MODEL_OF_TOKENIZER_JSON[kind])
    return model


def bert_normalizer(path: Path, content: Mapping) -> dict[str, bool | None]:
    """Arguments of BertTokenizer that field normalizer stands for."""
    value = content.get("normalizer")
    if not isinstance(value, dict) or value.get("type") != "BertNormalizer" \
            or value.get("clean_text") is not True:
        raise _refused(path, "normalizer", value, "BertNormalizer with clean_text true")
    settings = {ours: value.get(theirs) for ours, theirs in _BERT_NORMALIZER.items()}
    for name, flag in settings.items():
        if not isinstance(flag, bool) and (flag is not None or name != "strip_accents"):
            raise _refused(path, "normalizer", value, "true and false as its settings")
    return settings


def check_bert_pipeline(path: Path, content: Mapping) -> None:
    """Errors: pre_tokenizer or decoder are not those of BERT."""
    if (content.get("pre_tokenizer") or {}) != {"type": "BertPreTokenizer"}:
        raise _refused(path, "pre_tokenizer", content.get("pre_tokenizer"), "BertPreTokenizer")
    if content.get("decoder") != _WORDPIECE_DECODER:
        raise _refused(path, "decoder", content.get("decoder"), str(_WORDPIECE_DECODER))


def check_byte_level_pipeline(path: Path, content: Mapping) -> None:
    """Errors: normalizer, pre_tokenizer or decoder are not those of GPT-2."""
    if content.get("normalizer") is not None:
        raise _refused(path, "normalizer", content["normalizer"], "GPT-2's (null)")
    cutting = content.get("pre_tokenizer")
    if not isinstance(cutting, dict) or cutting.get("type") != "ByteLevel" \
            or cutting.get("add_prefix_space") is not False \
            or cutting.get("use_regex", True) is not True:
        raise _refused(path, "pre_tokenizer", cutting,
                       "GPT-2's (ByteLevel without add_prefix_space)")
    decoder = content.get("decoder")
    if decoder is not None and (not isinstance(decoder, dict)
                                or decoder.get("type") != "ByteLevel"):
        raise _refused(path, "decoder", decoder, "ByteLevel")


def _refused(path: Path, field: str, value: object, expected: str) -> InputError:
    return InputError(f"{path}: field {field} is {value!r:.100}: only {expected} is supported")
