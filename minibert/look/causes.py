"""The parts and words on which a prediction depends: what one number, the target, changes by when
a part or a word is removed or replaced.

The target is a logit or the difference of two: (position, id) or (position, id, instead) of a model
with logits (B, T, V); (label,) or (label, instead) of a classifier with logits (B, K), or of the
start of an answer. `ids` are one text, (T,) or (1, T); further inputs of the model (token_type_ids,
attention_mask) are passed on. Many interventions run as one batch, a row for each; dropout is off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from minibert.autograd.context_variables import set_within
from minibert.autograd.tensor import Tensor, grad_owners, no_grad
from minibert.errors import InputError
from minibert.models.activations import hook_names, hooks
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.module import Module, evaluating
from minibert.validate import one_of, whole_number

Target = tuple[int, ...]
# (name of an activation, index within the text's row of it, what stands there instead)
Edit = tuple[str, tuple, np.ndarray | float]

TOKENS_AT_ONCE = 4096  # rows times T of one batch


# ---- the target ----------------------------------------------------------------------------------


def logits_of(outputs: object) -> Tensor | None:
    """The logits in a model's outputs: (B, T, V), of a classifier (B, K), of the start of an answer
    (B, T); None without a head."""
    names = ("logits", "prediction_logits", "start_logits")
    return next((getattr(outputs, name) for name in names if hasattr(outputs, name)), None)


def target_values(outputs: object, target: Target) -> Tensor:
    """The target of each row of a model's outputs: (B,). Errors: InputError for a position or an id
    that the logits do not have."""
    logits = logits_of(outputs)
    if logits is None:
        raise InputError(f"target: {type(outputs).__name__} has no logits: use a model with a head")
    names = ("position", "id", "instead")[3 - logits.ndim:]
    limits = (*logits.shape[1:], logits.shape[-1])
    if not len(names) - 1 <= len(target) <= len(names):
        raise InputError(f"target = {target}: expected ({', '.join(names[:-1])}) or "
                         f"({', '.join(names)})")
    place = [whole_number(f"target: {name}", value, 0, limit - 1)
             for name, value, limit in zip(names, target, limits)]
    of_tokens = logits[:, place.pop(0)] if logits.ndim == 3 else logits  # (B, V)
    values = of_tokens[:, place[0]]
    return values - of_tokens[:, place[1]] if len(place) == 2 else values


def target_value(model: PretrainedModel, ids: np.ndarray, target: Target, **inputs) -> float:
    """The target of a text as it is."""
    return float(_with_edits(model, ids, inputs, target, [[]])[0])


# ---- parts of the model --------------------------------------------------------------------------


def ablate(model: PretrainedModel, ids: np.ndarray,
           heads: str | Sequence[tuple[int, int] | Sequence[tuple[int, int]]] = "all",
           how: str | np.ndarray = "zero", *, target: Target, **inputs) -> np.ndarray:
    """The change of the target when a head is removed: (L, H), or with `heads`, a list of (layer,
    head) or of lists of them that are removed together, (N,).

    A head's output hook_z (T, D), before W_O, is replaced by zeros, by its mean over this text's
    tokens ("mean"), or by its row of an array (L, H, D): the mean over held-out text, see
    mean_of_heads. W_O's bias, which belongs to no head, stays.
    """
    L, H = model.config.num_hidden_layers, model.config.num_attention_heads
    D = model.config.hidden_size // H
    if isinstance(heads, str):
        one_of("ablate: heads", heads, ("all",))
        groups = [[(layer, head)] for layer in range(L) for head in range(H)]
    else:
        groups = [[item] if np.ndim(item) == 1 else list(item) for item in heads]
    for layer, head in [pair for group in groups for pair in group]:
        whole_number("ablate: layer", layer, 0, L - 1)
        whole_number("ablate: head", head, 0, H - 1)
    if isinstance(how, np.ndarray):
        if how.shape != (L, H, D):
            raise InputError(f"ablate: how has shape {how.shape}: expected (layers, heads, head "
                             f"width) = {(L, H, D)}")
        instead = how
    elif one_of("ablate: how", how, ("zero", "mean")) == "mean":
        instead = mean_of_heads(model, _one_text(ids), **inputs)
    else:
        instead = np.zeros((L, H, D))
    edits = [[(f"blocks.{layer}.attn.hook_z", (slice(None), head), instead[layer, head])
              for layer, head in group] for group in groups]
    changes = _changes(model, ids, inputs, target, edits)
    return changes.reshape(L, H) if isinstance(heads, str) else changes


def mean_of_heads(model: PretrainedModel, ids: np.ndarray, **inputs) -> np.ndarray:
    """hook_z of each head, its mean over all tokens of the texts `ids` (B, T), for ablate: (L, H,
    D). Padding is left out by an attention_mask."""
    with evaluating(model):
        _, cache = model.run_with_cache(ids, names="*.attn.hook_z", **inputs)
    mask = np.asarray(inputs.get("attention_mask", np.ones(np.shape(ids)))) != 0
    return np.stack([cache["z", layer][mask].mean(0)
                     for layer in range(model.config.num_hidden_layers)])


def ablate_branches(model: PretrainedModel, ids: np.ndarray, *, target: Target, **inputs
                    ) -> np.ndarray:
    """The change of the target when the attention or the MLP of a layer adds zeros to the stream:
    (L, 2)."""
    edits = [[(f"blocks.{layer}.hook_{branch}", (), 0.0)]
             for layer in range(model.config.num_hidden_layers)
             for branch in ("attn_out", "mlp_out")]
    return _changes(model, ids, inputs, target, edits).reshape(-1, 2)


def patch(model: PretrainedModel, ids: np.ndarray, other_ids: np.ndarray,
          sites: Sequence[str] = ("resid_pre", "attn_out", "mlp_out"), *, target: Target,
          positions: Sequence[Sequence[int]] | None = None, **inputs) -> np.ndarray:
    """The target of a text in which the activation of one site, layer and position is taken from
    another text: (sites, L, T) (Meng et al. 2022, "Locating and Editing", section 2.1; Vig et al.
    2020).

    With a = target_value(ids) and b = target_value(other_ids), (result - a) / (b - a) is the share
    of the difference that this activation carries. `positions` are groups that are patched together
    (the pieces of a word), (sites, L, groups); None: each by itself. `sites` are names within a
    block whose second axis is the token: "attn.z", "mlp.post". Errors: InputError for texts of
    unequal length, an unknown site, a position outside of the text.
    """
    ids, other_ids = _one_text(ids), _one_text(other_ids)
    T, L = ids.shape[1], model.config.num_hidden_layers
    if other_ids.shape != ids.shape:
        raise InputError(f"patch: the texts have {T} and {other_ids.shape[1]} tokens: a position "
                         "of one has no partner in the other: write them with equally many")
    with evaluating(model):
        _, cache = model.run_with_cache(other_ids, **inputs)
    axes = {row.name: row.axes for row in hook_names(model)}
    names = [[cache.name((site, layer)) for layer in range(L)] for site in sites]
    for site, of_layers in zip(sites, names):
        if axes[of_layers[0]][1] != "T":
            raise InputError(f"patch: site {site!r} has the axes {axes[of_layers[0]]}: expected "
                             "one whose second axis is the token, T")
    groups = [[position] for position in range(T)] if positions is None else \
        [[whole_number("patch: position", position, 0, T - 1) for position in group]
         for group in positions]
    edits = [[(name, (group,), cache[name][0, group])]
             for of_layers in names for name in of_layers for group in groups]
    values = _with_edits(model, ids, inputs, target, edits)
    return values.reshape(len(names), L, len(groups))


# ---- words ---------------------------------------------------------------------------------------


def influence(model: PretrainedModel, ids: np.ndarray, **inputs) -> np.ndarray:
    """The length of the gradient of token t's largest logit by token s's word vector: (T, T), row
    t, column s. In a GPT those of the future (s > t) are exactly 0. Errors: InputError for a model
    that has no logits for each token."""
    ids = _one_text(ids)
    T = ids.shape[1]
    with evaluating(model), parameter_gradients_apart(model):
        outputs, cache = model.run_with_cache(**_repeated(ids, inputs, T), names="hook_embed",
                                              grads=True)
        logits = logits_of(outputs)
        if logits is None or logits.ndim != 3:
            raise InputError(f"influence: {type(model).__name__} has no logits (B, T, V) for each "
                             "token: use a language model")
        every = np.arange(T)  # row t of the batch is for the target at token t
        logits[every, every, logits.data[0].argmax(-1)].sum().backward()
        return np.linalg.norm(cache.grad("embed"), axis=-1)


class IntegratedGradients(NamedTuple):
    """`tokens` (T,) is each token's part of the difference between the target and its value at the
    baseline; `gap`: |their sum - difference| / |difference|, the error of the integral."""

    tokens: np.ndarray
    gap: float


def integrated_gradients(model: PretrainedModel, ids: np.ndarray, *, target: Target,
                         steps: int = 64, baseline: int | None = None, **inputs
                         ) -> IntegratedGradients:
    """(x - b) times the mean gradient on the straight way from b to x, summed over the width, where
    x are the text's word vectors (Sundararajan et al. 2017, eq. 1).

    b is the vector of the word `baseline` (the id of [MASK]), or None for the mean of all word
    vectors, at every token. The integral is taken at `steps` Gauss-Legendre points; more of them
    close the gap.
    """
    whole_number("integrated_gradients: steps", steps, 1)
    ids = _one_text(ids)
    points, weights = np.polynomial.legendre.leggauss(steps)  # on (-1, 1)
    with evaluating(model):
        x = model.run_with_cache(ids, names="hook_embed", **inputs)[1]["embed"][0]  # (T, C)
    b = _baseline(model, baseline)
    total = np.zeros(x.shape)  # (T, C)
    for some in np.array_split(np.arange(steps), -(-steps * len(x) // TOKENS_AT_ONCE)):
        share = (points[some, None, None] + 1) / 2  # (rows, 1, 1)
        gradients = _word_gradients(model, ids, inputs, target, b + share * (x - b))
        total += (weights[some, None, None] / 2 * gradients).sum(0)
    tokens = ((x - b) * total).sum(-1)
    difference = -_changes(model, ids, inputs, target, [[("hook_embed", (), b)]])[0]
    return IntegratedGradients(tokens, float(abs(tokens.sum() - difference)
                                             / max(abs(difference), np.finfo(float).tiny)))


def replace_words(model: PretrainedModel, ids: np.ndarray, *, target: Target,
                  baseline: int | None = None, **inputs) -> np.ndarray:
    """The change of the target when one token's word vector is replaced by that of the word
    `baseline` (the id of [MASK]), or None for the mean of all word vectors: (T,)."""
    ids = _one_text(ids)
    edits = [[("hook_embed", (position,), _baseline(model, baseline))]
             for position in range(ids.shape[1])]
    return _changes(model, ids, inputs, target, edits)


def _baseline(model: PretrainedModel, word: int | None) -> np.ndarray:
    """A word's vector (C,), or the mean of all."""
    table = word_vectors(model)
    return table.mean(0) if word is None else \
        table[whole_number("baseline", word, 0, len(table) - 1)]


def word_vectors(model: Module) -> np.ndarray:
    """The model's word embedding, (V, C)."""
    return next(parameter.data for name, parameter in model.named_parameters()
                if name.endswith("word_embeddings.weight"))


def _word_gradients(model: PretrainedModel, ids: np.ndarray, inputs: dict, target: Target,
                    words: np.ndarray) -> np.ndarray:
    """The gradient of the target by the word vectors, where they are `words` (rows, T, C)."""
    def put(array: np.ndarray, name: str) -> np.ndarray:
        return words.astype(array.dtype)

    with evaluating(model), parameter_gradients_apart(model), hooks(model, [("hook_embed", put)]):
        outputs, cache = model.run_with_cache(**_repeated(ids, inputs, len(words)),
                                              names="hook_embed", grads=True)
        target_values(outputs, target).sum().backward()
        return cache.grad("embed")


# ---- one text, many rows -------------------------------------------------------------------------


def _one_text(ids: np.ndarray) -> np.ndarray:
    ids = np.atleast_2d(ids)
    if ids.ndim != 2 or len(ids) != 1:
        raise InputError(f"ids: got shape {np.shape(ids)}: expected one text, (T,) or (1, T)")
    return ids


def _repeated(ids: np.ndarray, inputs: dict, rows: int) -> dict:
    """The inputs of one text as a batch of `rows` equal ones."""
    return {name: np.repeat(np.atleast_2d(array), rows, axis=0)
            for name, array in {"input_ids": ids, **inputs}.items()}


def _with_edits(model: PretrainedModel, ids: np.ndarray, inputs: dict, target: Target,
                edits: list[list[Edit]]) -> np.ndarray:
    """The target with each of the lists of edits: (N,)."""
    ids, values = _one_text(ids), []
    at_once = max(1, TOKENS_AT_ONCE // ids.shape[1])
    for start in range(0, len(edits), at_once):
        rows = edits[start:start + at_once]
        values.append(target_values(run_with_edits(model, ids, inputs, rows), target).data)
    return np.concatenate(values)


def run_with_edits(model: PretrainedModel, ids: np.ndarray, inputs: dict, rows: list[list[Edit]]
                   ) -> object:
    """The model's outputs for one text, with a row of the batch for each of the lists of edits."""
    changes: dict[str, list] = {}
    for row, edits in enumerate(rows):
        for name, index, value in edits:
            changes.setdefault(name, []).append(((row, *index), value))

    def put(array: np.ndarray, name: str) -> np.ndarray:
        array = array.copy()
        for index, value in changes[name]:
            array[index] = value
        return array

    with evaluating(model), no_grad():
        return model.run_with_hooks(**_repeated(ids, inputs, len(rows)),
                                    hooks=[(name, put) for name in changes])


def _changes(model: PretrainedModel, ids: np.ndarray, inputs: dict, target: Target,
             edits: list[list[Edit]]) -> np.ndarray:
    """The change of the target by each of the lists of edits: (N,)."""
    values = _with_edits(model, ids, inputs, target, [[], *edits])
    return values[1:] - values[0]


@contextmanager
def parameter_gradients_apart(model: Module) -> Iterator[dict[str, Tensor]]:
    """Within it backward leaves the parameters' `.grad` as they are, and adds to those of the
    tensors that it gives, by the parameters' names."""
    apart = {name: parameter.detach() for name, parameter in model.named_parameters()}
    owners = {id(parameter): apart[name] for name, parameter in model.named_parameters()}
    with set_within(grad_owners, {**grad_owners.get(), **owners}):
        yield apart
