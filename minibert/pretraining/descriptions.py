"""Training examples and facts about the training data as text."""

import numpy as np

from minibert.pretraining.encoded_documents import EncodedDocuments
from minibert.tokenizers.base import Tokenizer


def masked_example(tokenizer: Tokenizer, input_ids: np.ndarray, positions: np.ndarray,
                   labels: np.ndarray, is_next: bool | None) -> str:
    """Returns one corrupted example as BERT's create_pretraining_data.py logs it.

    input_ids (T,) without padding; positions, labels (M,): the masked positions of this row and
    their words; is_next: the label of the pair, None for a single segment.
    """
    lines = [" ".join(tokenizer.convert_ids_to_tokens(input_ids))]
    if len(positions):
        words = tokenizer.convert_ids_to_tokens(labels)
        answers = [f"{position}={word}" for position, word in zip(positions, words)]
        lines.append("  to predict: " + " ".join(answers))
    if is_next is not None:
        lines.append("  B is " + ("the next sentence" if is_next else "from another document"))
    return "\n".join(lines)


def describe_documents(tokenizer: Tokenizer, documents: EncodedDocuments) -> str:
    """Returns the size of encoded documents and their share of unknown tokens, in one line."""
    unknown = np.mean(documents.ids == tokenizer.unk_token_id)
    return (f"{documents.name}: {documents.n_documents:,} documents, {documents.n_sentences:,} "
            f"sentences, {len(documents.ids):,} tokens, {unknown:.2%} of them unknown")


def describe_stream(tokenizer: Tokenizer, name: str, ids: np.ndarray) -> str:
    """Returns the length of a stream of ids and its share of unknown tokens, in one line."""
    # GPT-2's tokenizer encodes every byte; its unk_token is the separator.
    unknown = {tokenizer.unk_token_id} - {tokenizer.sep_token_id}
    share = np.isin(ids, list(unknown)).mean()
    return f"{name}: {len(ids):,} tokens, {share:.2%} of them unknown"
