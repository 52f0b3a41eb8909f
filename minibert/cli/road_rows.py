"""The rows of `road` that are Transformers: their answers to the three questions of
ancestors/model.py."""

from __future__ import annotations

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.models.bart import BartForConditionalGeneration
from minibert.models.bert import BertForPreTraining
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.span_corruption import gap_log_p, sentinel_ids
from minibert.tokenizers.wordpiece import BertTokenizer


class GPTRow:
    """A GPT in evaluation mode: rows are windows of its stream."""

    unanswered = {"gap": "reads the left side alone"}

    def __init__(self, model: GPT2LMHeadModel):
        self.model = model

    def next_word(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel."""
        with no_grad():
            return log_probabilities(self.model(input_ids).logits.data)

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the last hidden states."""
        with no_grad():
            return self.model.transformer(input_ids).last_hidden_state.data


class BERTRow:
    """A BERT in evaluation mode: a row "[SEP] 2n sentences [SEP]" becomes the pair "[CLS] n
    sentences [SEP] n sentences [SEP]", or "[CLS] 2n sentences [SEP]" where pairs were not
    learned."""

    unanswered = {"next_word": "reads both sides of a gap"}

    def __init__(self, model: BertForPreTraining, tokenizer: BertTokenizer,
                 sentences: int | None):
        """sentences: n; each ends with ".". None: one segment."""
        self.model, self.tokenizer, self.sentences = model, tokenizer, sentences
        self.full_stop = tokenizer.convert_tokens_to_ids(".")

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """See AncestorModel: the gap shows [MASK]."""
        pairs, column = self._pairs(input_ids)
        rows = np.arange(len(pairs))
        place = column[rows, positions]
        pairs[rows, place] = self.tokenizer.mask_token_id
        with no_grad():
            logits = self.model(pairs, token_type_ids=self._types(pairs)).prediction_logits.data
        return log_probabilities(logits[rows, place])

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the last hidden states of the tokens in the pair."""
        pairs, column = self._pairs(input_ids)
        with no_grad():
            hidden = self.model.bert(pairs, token_type_ids=self._types(pairs)).last_hidden_state
        return np.take_along_axis(hidden.data, column[:, :, None], axis=1)

    def _pairs(self, input_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(pairs (B, T + 1), the place there of each token (B, T)); of one segment the row itself
        after [CLS]. Errors: InputError for rows that are not 2n sentences."""
        if self.sentences is None:
            texts = input_ids.copy()
            texts[:, 0] = self.tokenizer.cls_token_id
            return texts, np.broadcast_to(np.arange(input_ids.shape[1]), input_ids.shape)
        stops = np.cumsum(input_ids == self.full_stop, axis=1)  # full stops up to each token
        if (stops[:, -1] != 2 * self.sentences).any():
            raise InputError(f"BERT: a row has {stops[:, -1].min()} to {stops[:, -1].max()} "
                             f"sentences: expected {2 * self.sentences}, to read them as a pair")
        before = np.zeros_like(stops)
        before[:, 1:] = stops[:, :-1]
        column = np.arange(input_ids.shape[1]) + (before >= self.sentences)  # (B, T)
        pairs = np.full((len(input_ids), input_ids.shape[1] + 1), self.tokenizer.sep_token_id)
        np.put_along_axis(pairs, column, input_ids, axis=1)
        pairs[:, 0] = self.tokenizer.cls_token_id
        return pairs, column

    def _types(self, pairs: np.ndarray) -> np.ndarray:
        """Segment ids (B, T + 1): 1 behind the first [SEP]."""
        separators = np.cumsum(pairs == self.tokenizer.sep_token_id, axis=1)
        return ((separators - (pairs == self.tokenizer.sep_token_id)) >= 1).astype(np.int64)


class BARTRow:
    """An encoder-decoder in evaluation mode: rows are its texts, with [CLS] first."""

    unanswered = {"next_word": "writes what is missing in a text, not what follows it"}

    def __init__(self, model: BartForConditionalGeneration, tokenizer: BertTokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.sentinel = int(sentinel_ids(tokenizer)[0])

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """See AncestorModel: the gap is a span of one word, a sentinel stands there."""
        return gap_log_p(self.model, self._texts(input_ids), positions, self.sentinel,
                         self.tokenizer.sep_token_id)

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the encoder's last hidden states."""
        with no_grad():
            return self.model.model.encode(self._texts(input_ids)).last_hidden_state.data

    def _texts(self, input_ids: np.ndarray) -> np.ndarray:
        texts = input_ids.copy()
        texts[:, 0] = self.tokenizer.cls_token_id
        return texts
