"""Rows of texts and pairs, for classification and regression."""

from collections.abc import Sequence

from minibert.finetuning.encoding import CUT, Reading, Window
from minibert.finetuning.examples import SentenceExample
from minibert.tokenizers.truncation import cut_windows


def sentence_rows(reading: Reading, examples: Sequence[SentenceExample],
                  labels: Sequence[object]) -> list[Window]:
    """Encode texts as windows, each with the label of its text, and pairs as one window, from which
    the longer text loses its end."""
    rows = []
    for number, (example, label) in enumerate(zip(examples, labels)):
        if example.text_pair is not None:
            ids, types, was_cut = reading.pair(example.text, example.text_pair)
            rows.append(Window(number, ids, types, label, note=CUT if was_cut else ""))
            continue
        for part, _ in cut_windows(reading.ids(example.text), None, reading.room(1), "only_first",
                                   reading.overlap, True):
            rows.append(Window(number, *reading.framed(part), label))
    return rows


def shown(reading: Reading, row: Window, label: object) -> str:
    """A row's tokens, and its label."""
    return f"{' '.join(reading.tokenizer.convert_ids_to_tokens(row.ids))}\n  -> {label}"
