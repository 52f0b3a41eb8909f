"""The walk: from one token to the prediction and back, each step with its formula and its line.

This file gives the steps and the arrays that they are made of; web/walk.js and web/back.js write
them out for the token, layer and head that a reader chooses. The numbers are those of the reference
implementation, which ran under the names of autograd/hooks.py; the derivatives' lines are those of
its ops.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from minibert.autograd import elementwise
from minibert.autograd import functional as F
from minibert.autograd import reference
from minibert.autograd.fused.losses import class_cross_entropy_forward
from minibert.autograd.matmul import matmul
from minibert.checkpoints.safetensors import load_file
from minibert.errors import InputError
from minibert.finetuning.encoding import Reading
from minibert.look.causes import parameter_gradients_apart
from minibert.look.data import QUERIES, STREAMS, add_array, add_view, table
from minibert.look.sources import quote
from minibert.look.subject import Subject, output_layer, top_outputs
from minibert.models.gpt import GPT2LMHeadModel
from minibert.models.heads import MaskedLMHead
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.block import FeedForward, MultiHeadAttention, TransformerBlock
from minibert.nn.embeddings import Embeddings
from minibert.training.optim import Muon, decay_groups
from minibert.training.run_folder import Run
from minibert.training.settings import TrainingSettings, settings_from_state

NEURONS = 8  # the strongest of a token are shown
INTRO = ("One token on its way through one layer and one head, number by number, then from the "
         "last layer to the prediction. Each step shows its formula, its operands, its result and "
         "the line of source that computed it; press the line to see its whole function.")
BACK_INTRO = ("The loss is \u2212ln p of the explained output, for this one text. Its derivative "
              "travels the same way back, from the output to the words; then AdamW moves a weight "
              "against it. Each derivative stands in the line below its op.")
EMBEDDINGS = ("hook_embed", "hook_pos_embed", "hook_token_type_embed")
STREAM = ("hook_resid_pre", "hook_attn_out", "hook_resid_mid", "hook_mlp_out", "hook_resid_post")
HEADS = ("hook_q", "hook_k", "hook_v", "hook_z")
# The vectors from which a head computes its logits: the first of them that the model has.
LAST = ("mlm_head.hook_transformed", "classifier.hook_out", "pooler.hook_out",
        "ln_final.hook_normalized", ("normalized_resid_post", -1))
ADAMW = ("w = w - lr * weight_decay", "m = beta1 * m", "v = beta2 * v", "w = w - lr * (m /")


def add_walk(data: dict, subjects: list[Subject], optimizers: list[dict]) -> None:
    """Add the activations of each model and, where it has a target, their gradients, the likeliest
    outputs and the weights that `optimizers` (a dict for each model, see `adamw_part`) step."""
    parts, tables, updates = [], [], []
    for m, (subject, optimizer) in enumerate(zip(subjects, optimizers)):
        part = {"steps": steps_of(subject), "loss": None, "outputs": [], "weights": [],
                "optimizer": None}
        rows = [[step["title"], step["formula"],
                 f"{step['forward']['file'].removeprefix('minibert/')}:{step['forward']['line']}"]
                for step in part["steps"]]
        tables.append(table(f"{subject.name}: the steps of one layer, and their lines",
                            ["step", "formula", "line"], rows))
        add_forward(data, m, subject)
        if subject.target is not None:
            part["loss"] = backward(subject)
            part["outputs"] = add_outputs(data, m, subject)
            part |= adamw_part(subject, optimizer)
            rows = [[one["name"], f"{one['w']:.6g}", f"{one['g']:.3e}", f"{one['new']:.6g}"]
                    for one in part["weights"]]
            updates.append(table(f"{subject.name}: one step of AdamW, {part['optimizer']['note']}",
                                 ["weight", "w", "gradient", "new w"], rows))
            add_gradients(data, m, subject)
        parts.append(part)
    add_view(data, "walk", "Walk", INTRO, tables, models=parts)
    if updates:
        add_view(data, "back", "Back", BACK_INTRO, updates)


# ---- the steps -----------------------------------------------------------------------------------


def steps_of(subject: Subject) -> list[dict]:
    """[{"name", "title", "formula", "forward", "back", "backward"}]: the formula of each step and
    of its derivative, and the lines (see sources.quote) that compute them."""
    segments = "" if subject.causal else " + segment"
    attention, sdpa = MultiHeadAttention.forward, reference.scaled_dot_product_attention
    product, added = quote(matmul, "grad_a = product("), quote(elementwise.add, "return operand_")
    residual = quote(TransformerBlock.forward, "self.attention_norm(x), inputs" if
                     subject.norm_first else 'hook_point("hook_resid_mid", x + self')
    rows = [
        ("pieces", "The text as ids", "text \u2192 tokens \u2192 ids",
         quote(Reading.framed, "ids = [*start"), "", None),
        ("embed", "Word and position", f"x = word + position{segments}",
         quote(Embeddings.forward, "hook_pos_embed"), "dword = dposition = dx", added),
        ("norm", "Layer norm", "(x \u2212 mean) / \u221a(variance + \u03b5) \u00b7 \u03b3 + \u03b2",
         quote(reference.layer_norm, "normalized = centred /"),
         "dx = (dn \u2212 mean(dn) \u2212 n mean(dn n)) / \u03c3",
         quote(elementwise.div, "grad_a = grad / b.data")),
        ("qkv", "Query, key, value", "q, k, v = W x + b, each with rows of its own",
         quote(attention, "self.qkv(x)"), "dx = W\u1d40 dq, k and v likewise", product),
        ("scores", "Scores", "s = q \u00b7 k / \u221aD", quote(sdpa, "hook_qk"),
         "dq = \u03a3 ds k / \u221aD", product),
        ("mask", "Mask", "s = \u22121e30 where a token may not look",
         quote(sdpa, "~allowed, LOWEST"), "ds = 0 there",
         quote(elementwise.masked_fill, "return np.where(mask, zero, grad)")),
        ("softmax", "Softmax", "a = exp(s \u2212 max) / \u03a3 exp(s \u2212 max)",
         quote(reference.softmax, "return exponentials /"), "ds = a (da \u2212 \u03a3 a da)",
         quote(elementwise.exp, "grad_x = grad * output")),
        ("mixture", "Mixture", "z = \u03a3 a v", quote(sdpa, "hook_z"), "da = dz \u00b7 v",
         product),
        ("output", "The heads together", "out = W [z of all heads] + b",
         quote(attention, "self.output(mixed)"), "dz = W\u1d40 dout", product),
        ("residual", "Residual sum", "x = x + out", residual, "dx = dout = the incoming gradient",
         added),
        ("neurons", "Feed-forward: neurons", "h = GELU(W\u2081 x + b\u2081)",
         quote(reference.linear_gelu, "hook_post"), "dx = dh (\u03a6(x) + x \u03c6(x))",
         quote(elementwise.mul, "grad_a = grad * b.data")),
        ("mlp", "Feed-forward: back to the stream", "x = x + W\u2082 h + b\u2082",
         quote(FeedForward.forward, "self.output("), "dh = W\u2082\u1d40 dx", product)]
    if not subject.norm_first:  # the norm follows the sum
        rows.insert(9, rows.pop(2))
    if subject.target is not None:
        rows += [("logits", "Logits", "logit = h \u00b7 (vector of the output) + bias",
                  head_line(subject), "dh = \u03a3 dlogit \u00b7 vector", product),
                 ("loss", "Probability and loss", "p = softmax(logits), loss = \u2212ln p(target)",
                  quote(reference.cross_entropy, "losses = masked_fill(picked"),
                  "dlogit = p \u2212 1 at the target, p elsewhere",
                  quote(class_cross_entropy_forward, "dx[chosen] -= q"))]
    names = ("name", "title", "formula", "forward", "back", "backward")
    return [dict(zip(names, row)) for row in rows]


def head_line(subject: Subject) -> dict:
    """The line that computes the target's logits: see sources.quote."""
    if subject.target.kind == "next word":
        return quote(GPT2LMHeadModel.forward, "logits = F.linear")
    if subject.target.kind == "word":
        return quote(MaskedLMHead.forward, "return F.linear")
    return quote(reference.linear, "return x @ weight.T")


# ---- the arrays ----------------------------------------------------------------------------------


def add_forward(data: dict, m: int, subject: Subject) -> None:
    """Add the activations of one forward."""
    cache = subject.cache

    def add(name: str, axes: str, drop: int = STREAMS) -> None:
        add_array(data, m, name, cache[name][0], axes, drop)

    for name in EMBEDDINGS:
        if name in cache:
            add(name, "token width")
    for i, block in enumerate(subject.stack.blocks):
        at = f"blocks.{i}"
        for name in (*STREAM, "ln1.hook_normalized"):
            add(f"{at}.{name}", "token width")
        for name in ("weight", "bias"):
            add_array(data, m, f"{at}.ln1.{name}", getattr(block.attention_norm, name).data,
                      "width", STREAMS)
        drop = QUERIES if i != data["start"]["layer"] else STREAMS
        for name in HEADS:
            add(f"{at}.attn.{name}", "token head width", drop)
        add(f"{at}.attn.hook_qk", "head query key", drop)
        add_array(data, m, f"{at}.result_norms", np.linalg.norm(cache["result", i][0], axis=-1),
                  "token head")
        pre, post = cache["mlp.pre", i][0], cache["mlp.post", i][0]
        which = np.argsort(-np.abs(post), axis=-1, kind="stable")[:, :NEURONS]
        for name, values in (("numbers", which), ("pre", np.take_along_axis(pre, which, -1)),
                             ("post", np.take_along_axis(post, which, -1))):
            add_array(data, m, f"{at}.neurons.{name}", values, "token place")


def add_outputs(data: dict, m: int, subject: Subject) -> list[dict]:
    """Add all logits at the target's position, the vector before them and the vectors of the ten
    likeliest outputs and the target; return these outputs: [{"word", "id", "bias"}]."""
    target = subject.target
    add_array(data, m, "target_logits", subject.logits.data, "output")
    add_array(data, m, "target_logits.grad", subject.logits.grad, "output")
    chosen = {i: word for word, _, i in top_outputs(subject, subject.outputs, 10)}
    chosen.setdefault(target.id, target.word)
    biases = np.zeros(len(subject.logits.data))
    if target.kind != "answer":  # whose logits are one output, at each of the tokens
        parameters, (weight, bias) = subject.parameters, output_layer(subject)
        biases = biases if bias is None else parameters[bias]
        hidden = next(subject.cache[name][0] for name in LAST if name in subject.cache)
        hidden = hidden[target.position] if hidden.ndim == 2 else hidden  # (C,)
        add_array(data, m, "target_hidden", hidden, "width")
        add_array(data, m, "output_vectors", parameters[weight][list(chosen)], "place width")
    return [{"word": word, "id": i, "bias": float(biases[i])} for i, word in chosen.items()]


# ---- backward ------------------------------------------------------------------------------------


def backward(subject: Subject) -> float:
    """The loss -ln p(target), after one walk back from it: the gradients stand in subject.cache,
    subject.logits and, by parameter, in subject.gradients. The model's own `.grad` are kept."""
    with F.reference(), parameter_gradients_apart(subject.model) as parameters:
        subject.logits = subject.target.logits(subject.outputs)
        subject.logits.retain_grad()
        loss = F.cross_entropy(subject.logits, np.array(subject.target.id))
        loss.backward()
    subject.gradients = {name: parameter.grad for name, parameter in parameters.items()
                         if parameter.grad is not None}
    return loss.item()


def add_gradients(data: dict, m: int, subject: Subject) -> None:
    """Add the gradients of scores and weights, and the norms of all others, by token."""
    for i in subject.layers:
        for name in ("attn.hook_pattern", "attn.hook_attn_scores"):
            add_array(data, m, f"blocks.{i}.{name}.grad",
                      subject.cache.grad(f"blocks.{i}.{name}")[0], "head query key", QUERIES)
        gradients = [subject.cache.grad((name, i))[0] for name in (*STREAM, *HEADS)]
        norms = [np.linalg.norm(grad.reshape(len(grad), -1), axis=-1) for grad in gradients]
        add_array(data, m, f"blocks.{i}.grad_norms", np.stack(norms, 1), "token name")


# ---- one step of AdamW ---------------------------------------------------------------------------


def stored_optimizer(model: PretrainedModel, folder: Path | None = None) -> dict:
    """{"lr", "betas", "eps", "clip", "decays": {name: weight decay} of what AdamW steps, "step":
    the number of the next step, "moments": {name: (exp_avg, exp_avg_sq)}, "note": where these come
    from}.

    `folder` is the checkpoint that the model was read from. Its run's settings count, and the
    moments where the checkpoint is the run's last step; else they are zero, as at a first step.
    Errors: InputError, damaged files.
    """
    settings, step, moments = TrainingSettings(), 1, {}
    note = "with the default settings, from moments of zero"
    if folder is not None and (folder / "state.json").exists():
        run = Run(folder.parent)
        state = run.state(folder.name)
        settings = settings_from_state(state, folder / "state.json")
        note = "with the run's settings and largest learning rate, from moments of zero"
        if run.checkpoint("latest") and run.state("latest")["step"] == state["step"] > 0:
            step, moments = state["step"] + 1, _moments(run.checkpoint("latest"), model)
            note = ("with the run's settings, largest learning rate and moments after step "
                    f"{state['step']:,}")
    groups, _, _ = decay_groups(model, settings.weight_decay)
    if settings.optimizer == "muon":
        groups = [one for one in Muon.split_groups(model, groups) if one["matrix_shape"] is None]
        note += " (the matrices of the hidden layers, which Muon steps, are not shown)"
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decays = {names[id(parameter)]: group["weight_decay"] for group in groups
              for parameter in group["params"]}
    return {**{name: getattr(settings, name) for name in ("lr", "betas", "eps", "clip")},
            "decays": decays, "step": step, "moments": moments, "note": note}


def _moments(checkpoint: Path, model: PretrainedModel) -> dict[str, tuple[np.ndarray, ...]]:
    """(exp_avg, exp_avg_sq) of each parameter that AdamW has stepped. Errors: InputError, one of
    them alone, another shape than the parameter's, numbers that no step leaves."""
    file, moments = checkpoint / "optimizer.safetensors", {}
    arrays = load_file(file)
    for name, parameter in model.named_parameters():
        pair = [arrays[of] for of in (f"exp_avg.{name}", f"exp_avg_sq.{name}") if of in arrays]
        if not pair:
            continue
        if ([one.shape for one in pair] != 2 * [parameter.shape] or not np.isfinite(pair).all()
                or pair[1].min(initial=0) < 0):
            raise InputError(f"{file}: the moments of {name}: expected two arrays of finite "
                             f"numbers, of shape {parameter.shape}: the file is damaged")
        moments[name] = tuple(pair)
    return moments


def adamw_part(subject: Subject, optimizer: dict) -> dict:
    """{"optimizer", "weights"}: one step of AdamW on the weight with the largest gradient of each
    matrix that it steps, from this text's loss alone. `optimizer` is as stored_optimizer gives it.
    """
    parameters, grads = dict(subject.model.named_parameters()), subject.gradients
    norm = math.sqrt(sum([float(np.vdot(grad, grad)) for grad in grads.values()]))
    scale = min(1.0, (optimizer["clip"] or math.inf) / (norm + 1e-6))
    weights = []
    for name, grad in grads.items():
        if grad.ndim < 2 or not grad.any() or name not in optimizer["decays"]:
            continue
        index = np.unravel_index(np.abs(grad).argmax(), grad.shape)
        moments = optimizer["moments"].get(name, (np.zeros_like(grad), np.zeros_like(grad)))
        w, g, m, v = (float(array[index]) for array in (parameters[name].data, grad, *moments))
        decay = optimizer["decays"][name]
        new, _, _ = reference.adamw_step(w, g * scale, m, v, optimizer["step"], optimizer["lr"],
                                         optimizer["betas"], optimizer["eps"], decay)
        weights.append({"name": f"{name}[{', '.join(map(str, index))}]", "w": w, "g": g, "m": m,
                        "v": v, "decay": decay, "new": float(new)})
    shown = {name: optimizer[name] for name in ("lr", "betas", "eps", "step", "note", "clip")}
    lines = [quote(reference.adamw_step, part) for part in ADAMW]
    return {"optimizer": {**shown, "norm": norm, "scale": scale, "lines": lines},
            "weights": weights}
