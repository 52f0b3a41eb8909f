"""Film: frames of a model in training, each with the attention of one text and vectors of words.

A frame is a record of log.jsonl, so that a resume, which cuts the log back to its checkpoint,
leaves the same frames as a training without a pause:

    {"kind": "film", "step", "tokens": [T texts], "words": [W texts],
     "attention": {"shape": [L, H, T, T], "u8": base64 of round(255 p), query before key},
     "vectors": {"shape": [W, C], "f16": base64 of little-endian float16}}
"""

from __future__ import annotations

import base64

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.look.causes import word_vectors
from minibert.look.data import CODES, coded
from minibert.look.streams import principal_components
from minibert.look.subject import visible
from minibert.nn.module import evaluating
from minibert.validate import shown_value, whole_number

MOST_TOKENS, MOST_WORDS = 20, 128


class Film:
    """Records up to `frames` frames at log-spaced steps from 0 to `steps`.

    The text is the beginning of the first held-out example, the words are the most frequent ones of
    the training text.
    """

    def __init__(self, frames: int, steps: int, objective):
        self.steps = film_steps(frames, steps)
        tokenizer, batch = objective.tokenizer, next(iter(objective.held_out_batches()))
        if objective.name == "bert":
            length = min(MOST_TOKENS, int(batch.attention_mask[0].sum()))
            ids, train_ids = batch.original_ids[:1, :length], objective.train.ids
            self.inputs = {"input_ids": ids, "token_type_ids": batch.token_type_ids[:1, :length]}
        else:
            ids, train_ids = batch.input_ids[:1, :MOST_TOKENS], objective.train_ids
            self.inputs = {"input_ids": ids}
        self.tokens = tokenizer.convert_ids_to_tokens(ids[0].tolist())
        counts = np.bincount(train_ids, minlength=tokenizer.vocab_size)
        counts[list(tokenizer.all_special_ids)] = 0
        frequent = np.argsort(-counts, kind="stable")[:MOST_WORDS]
        self.word_ids = frequent[counts[frequent] > 0]  # (W,)
        self.words = tokenizer.convert_ids_to_tokens(self.word_ids.tolist())

    def frame(self, model, step: int) -> dict | None:
        """The record of the model after `step` updates, or None where the film has no frame."""
        if step not in self.steps:
            return None
        with evaluating(model), no_grad():
            attentions = model(**self.inputs, output_attentions=True).attentions
        pattern = np.stack([layer.data[0] for layer in attentions])  # (L, H, T, T)
        vectors = word_vectors(model)[self.word_ids]  # (W, C)
        largest = np.finfo(np.float16).max
        return {"kind": "film", "step": step, "tokens": self.tokens, "words": self.words,
                "attention": coded(np.rint(255 * pattern), "u8"),
                "vectors": coded(np.clip(vectors, -largest, largest), "f16")}


def film_steps(frames: int, steps: int) -> set[int]:
    """At most `frames` steps: 0, and log-spaced ones from 1 to `steps`; of one frame the last."""
    if frames < 2:
        return {steps} if frames else set()
    return {0, *np.rint(np.geomspace(steps, 1, frames - 1)).astype(int).tolist()}


def decoded(where: str, value: object, code: str, axes: int) -> np.ndarray:
    """The array that data.coded wrote. Errors: InputError, which begins with `where`: another
    number of axes or bytes, a number that is not finite."""
    try:
        shape = [whole_number("shape", size, 1) for size in value["shape"]]
        numbers = np.frombuffer(base64.b64decode(value[code], validate=True), CODES[code])
        array = numbers.reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError):  # binascii.Error is a ValueError
        raise InputError(f"{where}: {shown_value(value)}: expected a shape and as many numbers, "
                         f"{code} in base64: the file is damaged") from None
    if array.ndim != axes or not np.isfinite(array).all():
        raise InputError(f"{where}: {array.ndim} axes, NaN or an infinity: expected {axes} axes of "
                         "finite numbers: the file is damaged")
    return array


def read_frames(records: list[dict], where: str) -> dict | None:
    """The film in a log's records: {"steps" (F,), "tokens" (T), "words" (W), "attention" (F, L, H,
    T, T) as u8, "map" (F, W, 2) as float32}, or None without frames.

    The map is the projection of the word vectors on the two principal components of the last
    frame's, centred in every frame.
    Errors: InputError that begins with `where`: damaged frames, or frames of different shapes.
    """
    frames = [record for record in records if record["kind"] == "film"]
    if not frames:
        return None
    attention, vectors = [], []
    for frame in frames:
        at = f"{where}: film at step {frame['step']}"
        attention.append(decoded(f"{at}: attention", frame["attention"], "u8", 4))
        vectors.append(decoded(f"{at}: vectors", frame["vectors"], "f16", 2).astype(np.float64))
        tokens, words = frame["tokens"], frame["words"]
        T, W, shapes = len(tokens), len(words), (attention[-1].shape, vectors[-1].shape)
        expected = (*attention[0].shape[:2], T, T), (W, vectors[0].shape[1])
        if shapes != expected or [tokens, words] != [frames[0]["tokens"], frames[0]["words"]]:
            raise InputError(f"{at}: shapes {shapes}: expected the tokens and words of the first "
                             f"frame, and {expected}: the file is damaged")
    _, _, axes = principal_components(vectors[-1])  # (2, C)
    places = np.stack([(frame - frame.mean(axis=0)) @ axes.T for frame in vectors])
    return {"steps": [frame["step"] for frame in frames], "tokens": list(map(visible, tokens)),
            "words": list(map(visible, words)), "attention": np.stack(attention),
            "map": places.astype(np.float32)}
