"""RoBERTa's tokenizer: GPT-2's byte-level BPE between the special tokens <s> and </s>.

Liu et al. 2019, section 4.4. The ids and the offsets are those of Hugging Face's RobertaTokenizer:
the blank before a word belongs to its token, but not to the token's place in the text.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from minibert.errors import InputError
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.byte_level_pre_tokenizer import BYTE_TO_CHAR
from minibert.tokenizers.normalization import WHITE_SPACE
from minibert.tokenizers.post_processing import (BARE, Piece, Template, read_template,
                                                 roberta_template)
from minibert.tokenizers.tokenizer_folder import (CLASSES, GENERIC_CLASSES, TokenizerFolder,
                                                  read_optional)
from minibert.tokenizers.wordpiece_training import Pair

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>",
            "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"}
_BLANKS = BYTE_TO_CHAR[ord(" ")] + WHITE_SPACE


class RobertaTokenizer(GPT2Tokenizer):
    """RoBERTa's tokenizer (and BART's), with Hugging Face's names: <s> A </s> for a text and
    <s> A </s></s> B </s> for a pair. `trim_offsets`: whether the blanks at the ends of a token are
    left out of its place."""

    kind = "RoBERTa's BPE"
    defaults = SPECIALS

    def __init__(self, vocab: Iterable[str] | Mapping[str, int], merges: Iterable[Pair],
                 trim_offsets: bool = True, **settings):
        super().__init__(vocab, merges, **settings)
        self.trim_offsets = trim_offsets
        if hasattr(self, "cls_token_id") and hasattr(self, "sep_token_id"):
            self.template = roberta_template(self.cls_token_id, self.sep_token_id)
        self._own_template = self.template

    def _read_template(self, files: TokenizerFolder) -> Template:
        """The class's own template, as in transformers 5; for a generic class tokenizer.json's."""
        self.trim_offsets = files.flag("trim_offsets", True)
        if files.json is None:
            return self.template
        template = read_template(files.json_path, files.json.get("post_processor"))
        if files.is_generic:
            step = files.json.get("post_processor")
            self.trim_offsets = _is_roberta(step) and step.get("trim_offsets") is not False
            return template
        if template not in (self.template, BARE):
            warnings.warn(f"{files.json_path}: field post_processor has no effect: a "
                          "RobertaTokenizer adds <s> and </s>; the class PreTrainedTokenizerFast "
                          "applies it", stacklevel=4)
        return self.template

    def save_pretrained(self, folder: str | Path) -> None:
        """Write vocab.json, merges.txt and tokenizer_config.json, which Hugging Face's
        RobertaTokenizer opens. Errors: InputError for special tokens around a text that this class
        does not add."""
        if self.template != self._own_template:
            raise InputError("RobertaTokenizer: a tokenizer with other special tokens around a "
                             "text than <s> and </s> cannot be saved: copy its files")
        self._save(folder, {"trim_offsets": self.trim_offsets})

    def _pieces(self, text: str) -> list[Piece]:
        pieces = super()._pieces(text)
        if not self.trim_offsets:
            return pieces
        return [self._trimmed(text, *piece) for piece in pieces]

    def _trimmed(self, text: str, i: int, start: int, end: int) -> Piece:
        """The piece without the places of its blanks; nothing is left of one of blanks."""
        token = self._tokens[i]
        if token in self.added_tokens:  # with the blanks before <mask> that its lstrip takes
            token = text[start:end]
        start = min(start + len(token) - len(token.lstrip(_BLANKS)), end)
        return i, start, max(end - len(token) + len(token.rstrip(_BLANKS)), start)


def byte_level_class(folder: Path) -> type[GPT2Tokenizer]:
    """RobertaTokenizer where the files of a folder with a byte-level BPE name that class, or a
    generic one beside a model or a post-processor of RoBERTa's; else GPT2Tokenizer."""
    names = [read_optional(folder / name).get("tokenizer_class")
             for name in ("tokenizer_config.json", "config.json")]
    name = str(next((name for name in names if name is not None), None)).removesuffix("Fast")
    if name in CLASSES[RobertaTokenizer.kind]:
        return RobertaTokenizer
    if name in (*GENERIC_CLASSES, "None"):
        family = str(read_optional(folder / "config.json").get("model_type")).split("_")[0]
        if family in ("roberta", "bart") \
                or _is_roberta(read_optional(folder / "tokenizer.json").get("post_processor")):
            return RobertaTokenizer
    return GPT2Tokenizer


def _is_roberta(post_processor: object) -> bool:
    return isinstance(post_processor, dict) and post_processor.get("type") == "RobertaProcessing"
