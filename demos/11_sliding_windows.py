"""Demo 11: a text longer than the model's context, read in overlapping windows.

    python demos/11_sliding_windows.py

The example is the one in the comments of Google's run_squad.py: windows of 5 words with a stride of
3, so that two words are in two windows. A word's prediction comes from the window in which it has
the most context ("max context").
"""

import numpy as np

import minibert as mb
from minibert.finetuning.sliding_window import extract_answer, best_spans, max_context_windows

TEXT = "The man went to the store and bought a gallon of milk."
VOCABULARY = "the man went to store and bought a gallon of milk .".split()
SIZE, OVERLAP = 5, 2
NAMES = "ABCD"

# Scores of a hypothetical model: the answer starts, or ends, with this word.
STARTS = {"a": 3.0, "gallon": 2.0}
ENDS = {"gallon": 2.5, "of": 0.5, "milk": 3.0}


def main() -> None:
    tokenizer = mb.BertTokenizer.from_words(VOCABULARY)
    whole = tokenizer(TEXT, add_special_tokens=False, return_offsets_mapping=True)
    cut = tokenizer(TEXT, add_special_tokens=False, return_offsets_mapping=True, truncation=True,
                    max_length=SIZE, stride=OVERLAP, return_overflowing_tokens=True)
    words = [TEXT[start:end] for start, end in whole["offset_mapping"]]
    firsts = [whole["offset_mapping"].index(offsets[0]) for offsets in cut["offset_mapping"]]
    windows = [(first, first + len(ids)) for first, ids in zip(firsts, cut["input_ids"])]
    best = max_context_windows(windows, len(words))

    print(f"1. {len(words)} tokens in windows of {SIZE} that overlap by {OVERLAP}. In [brackets]: "
          "the window in which\n   a token has the most context.\n")
    for number, (start, end) in enumerate(windows):
        cells = [" " * (len(word) + 2) for word in words[:start]]
        for place in range(start, end):
            word = words[place]
            cells.append(f"[{word}]" if best[place] == number else f" {word} ")
        print(f"   {NAMES[number]}  " + " ".join(cells))

    bought = words.index("bought")
    print("\n2. 'bought' is in two windows:\n")
    for number, (start, end) in enumerate(windows):
        if start <= bought < end:
            left, right = bought - start, end - 1 - bought
            print(f"   in {NAMES[number]}: {left} to the left, {right} to the right; "
                  f"the smaller of them is {min(left, right)}")
    print(f"\n   Its prediction comes from window {NAMES[best[bought]]}.")

    print("\n3. What did he buy? A score for each token as the start and as the end of the answer"
          "\n   (here by hand), in each window. The three best of all valid spans:\n")
    in_window = [words[start:end] for start, end in windows]
    start_scores = [np.array([STARTS.get(word, 0.0) for word in window]) for window in in_window]
    end_scores = [np.array([ENDS.get(word, 0.0) for word in window]) for window in in_window]
    in_context = [np.ones(len(window), bool) for window in in_window]  # no question before it
    is_best = [best[start:end] == number for number, (start, end) in enumerate(windows)]
    answers = []
    for span in best_spans(start_scores, end_scores, in_context, is_best, n_best=3):
        answer = extract_answer(TEXT, cut["offset_mapping"][span.window][span.start:span.end + 1])
        answers.append(answer)
        print(f"   {span.score}  in {NAMES[span.window]}: {answer.text!r}, written at character "
              f"{answer.start}")
    print("\n   'a gallon of milk' would score 6.0, but no window holds all of it: only answers of"
          f"\n   at most {OVERLAP + 1} tokens, the overlap and one more, are certain to be whole "
          "in a window.")

    if NAMES[best[bought]] != "C":
        raise SystemExit(f"'bought' should belong to window C, not to {NAMES[best[bought]]}")
    joined = [in_window[number][place - windows[number][0]] for place, number in enumerate(best)]
    if joined != words:
        raise SystemExit("the best windows of all tokens, joined, are not the text")
    written = [TEXT[answer.start:answer.start + len(answer.text)] for answer in answers]
    if answers[0].text != "a gallon" or written != [answer.text for answer in answers]:
        raise SystemExit(f"expected 'a gallon' first, and stretches of the text: {answers}")
    for start in range(len(words) - OVERLAP):
        if not any(first <= start and start + OVERLAP < end for first, end in windows):
            raise SystemExit(f"{words[start:start + OVERLAP + 1]} is whole in no window")
    print("\nClaim: each token belongs to one window ('bought': C), joined they are the text, and"
          "\nthe answer is a stretch of the original characters.")


if __name__ == "__main__":
    main()
