"""What classification and regression share: texts and pairs as rows."""

from collections.abc import Callable, Sequence

from minibert.finetuning.encoding import CUT, Reading, Window
from minibert.finetuning.examples import SentenceExample
from minibert.tokenizers.truncation import cut_windows


def sentence_rows(reading: Reading, examples: Sequence[SentenceExample],
                  label_of: Callable[[SentenceExample], object]) -> list[Window]:
    """A text gives as many windows as it needs, each with the label of the whole; a pair gives one,
    and is cut if it must be."""
    rows = []
    for number, example in enumerate(examples):
        label = label_of(example)
        if example.text_pair is not None:
            ids, types, was_cut = reading.pair(example.text, example.text_pair)
            rows.append(Window(number, ids, types, label, note=CUT if was_cut else ""))
            continue
        for part, _ in cut_windows(reading.ids(example.text), None, reading.room(1), "only_first",
                                   reading.stride, True):
            rows.append(Window(number, *reading.framed(part), label))
    return rows


def shown(reading: Reading, row: Window, label: object) -> str:
    """A row in words, and what is asked of it."""
    return f"{' '.join(reading.tokenizer.convert_ids_to_tokens(row.ids))}\n  -> {label}"
