"""The walk: from one token to the prediction and back, each step with its formula and its line.

This file gives the steps and the arrays that they are made of; web/walk.js and web/back.js write
them out for the token, layer and head that a reader chooses. The numbers are those of the reference
implementation, which ran under the names of autograd/hooks.py; the derivatives' lines are those of
its ops.
"""

from __future__ import annotations

import math

import numpy as np

from minibert.autograd import elementwise
from minibert.autograd import functional as F
from minibert.autograd import reference
from minibert.autograd.fused.losses import class_cross_entropy_forward
from minibert.autograd.matmul import matmul
from minibert.finetuning.encoding import Reading
from minibert.look.data import QUERIES, STREAMS, add_array, add_view, array_name
from minibert.look.heads import stack_of
from minibert.look.sources import quote
from minibert.look.subject import Subject, top_outputs
from minibert.models.bert import BertForPreTraining
from minibert.models.gpt import GPT2LMHeadModel
from minibert.models.heads import ClassificationHead, MaskedLMHead
from minibert.nn.attention import MultiHeadAttention
from minibert.nn.block import FeedForward, TransformerBlock
from minibert.nn.embeddings import BertEmbeddings, GPT2Embeddings

NEURONS = 8  # the strongest of a token are shown
INTRO = ("One token on its way through one layer and one head, number by number, then from the "
         "last layer to the prediction. Each step shows its formula, its operands, its result and "
         "the line of source that computed it; press the line to see its whole function.")
BACK_INTRO = ("The loss is \u2212ln p of the explained output, for this one text. Its derivative "
              "travels the same way back, from the output to the words; then AdamW moves a weight "
              "against it. Each derivative stands in the line below its op.")
STREAM = ("hook_resid_pre", "hook_attn_out", "hook_resid_mid", "hook_mlp_out", "hook_resid_post")
HEADS = ("hook_q", "hook_k", "hook_v", "hook_z")


def add_walk(data: dict, subjects: list[Subject], optimizers: list[dict]) -> None:
    """Add the activations of each model and, where it has a target, their gradients, the likeliest
    outputs and the weights that `optimizers` (a dict for each model, see `adamw_part`) step."""
    models = []
    for m, subject in enumerate(subjects):
        part = {"steps": steps_of(subject), "loss": None, "outputs": [], "weights": [],
                "optimizer": None}
        add_forward(data, m, subject)
        if subject.target is not None:
            part["loss"] = backward(subject)
            part["outputs"] = add_outputs(data, m, subject)
            part.update(adamw_part(subject, optimizers[m]))
            add_gradients(data, m, subject)
        models.append(part)
    add_view(data, "walk", "Walk", INTRO,
             [steps_table(subject, part) for subject, part in zip(subjects, models)],
             models=models)
    if any([part["loss"] is not None for part in models]):
        tables = [table for subject, part in zip(subjects, models)
                  for table in weight_tables(subject, part)]
        add_view(data, "back", "Back", BACK_INTRO, tables)


def steps_table(subject: Subject, part: dict) -> dict:
    """The steps with their formulas and lines, as a table."""
    rows = [["step", "formula", "line"]]
    rows += [[step["title"], step["formula"],
              f"{step['forward']['file'].removeprefix('minibert/')}:{step['forward']['line']}"]
             for step in part["steps"]]
    return {"caption": f"{subject.name}: the steps of one layer, and their lines", "rows": rows}


def weight_tables(subject: Subject, part: dict) -> list[dict]:
    """The update of each chosen weight, as a table."""
    if not part["weights"]:
        return []
    rows = [["weight", "w", "gradient", "new w"]]
    rows += [[one["name"], f"{one['w']:.6g}", f"{one['g']:.3e}", f"{one['new']:.6g}"]
             for one in part["weights"]]
    return [{"caption": f"{subject.name}: one step of AdamW, {part['optimizer']['note']}",
             "rows": rows}]


# ---- the steps -----------------------------------------------------------------------------------


def steps_of(subject: Subject) -> list[dict]:
    """[{"name", "title", "formula", "forward", "back", "backward"}]: the formula of each step and
    of its derivative, and the lines (see sources.quote) that compute them."""
    embeddings = GPT2Embeddings if subject.causal else BertEmbeddings
    attention, sdpa = MultiHeadAttention.forward, reference.scaled_dot_product_attention
    norm_first = subject.model.config.block_config.norm_first
    block, norm = TransformerBlock.forward, quote(reference.layer_norm, "normalized = centred /")
    product, added = quote(matmul, "grad_a = product("), quote(elementwise.add, "return operand_")
    segments = "" if subject.causal else " + segment"
    rows = [
        ("pieces", "The text as ids", "text \u2192 tokens \u2192 ids",
         quote(Reading.framed, "ids = [*start"), "", None),
        ("embed", "Word and position", f"x = word + position{segments}",
         quote(embeddings.forward, "hook_embed"), "dword = dposition = dx", added),
        ("norm", "Layer norm", "(x \u2212 mean) / \u221a(variance + \u03b5) \u00b7 \u03b3 + \u03b2",
         norm, "dx = (dn \u2212 mean(dn) \u2212 n mean(dn n)) / \u03c3",
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
        ("residual", "Residual sum", "x = x + out",
         quote(block, "self.attention_norm(x), inputs" if norm_first else
               'hook_point("hook_resid_mid", x + self'), "dx = dout = the incoming gradient",
         added),
        ("neurons", "Feed-forward: neurons", "h = GELU(W\u2081 x + b\u2081)",
         quote(reference.linear_gelu, "hook_post"), "dx = dh (\u03a6(x) + x \u03c6(x))",
         quote(elementwise.mul, "grad_a = grad * b.data")),
        ("mlp", "Feed-forward: back to the stream", "x = x + W\u2082 h + b\u2082",
         quote(FeedForward.forward, "self.output("), "dh = W\u2082\u1d40 dx", product)]
    if not norm_first:  # the norm follows the sum
        rows.insert(9, rows.pop(2))
    rows += head_steps(subject)
    names = ("name", "title", "formula", "forward", "back", "backward")
    return [dict(zip(names, row)) for row in rows]


def head_steps(subject: Subject) -> list[tuple]:
    """The steps after the last block, for a model with a target."""
    if subject.target is None:
        return []
    logits = quote(MaskedLMHead.forward, "return F.linear")
    if isinstance(subject.model, GPT2LMHeadModel):
        logits = quote(GPT2LMHeadModel.forward, "logits = F.linear")
    elif subject.target.kind != "word":
        logits = quote(reference.linear, "return x @ weight.T")
    loss = quote(reference.cross_entropy, "losses = masked_fill(picked")
    return [("logits", "Logits", "logit = h \u00b7 (vector of the output) + bias", logits,
             "dh = \u03a3 dlogit \u00b7 vector", quote(matmul, "grad_a = product(")),
            ("loss", "Probability and loss", "p = softmax(logits), loss = \u2212ln p(target)", loss,
             "dlogit = p \u2212 1 at the target, p elsewhere",
             quote(class_cross_entropy_forward, "dx[chosen] -= q"))]


# ---- the arrays ----------------------------------------------------------------------------------


def add_forward(data: dict, m: int, subject: Subject) -> None:
    """Add the activations of one forward."""
    cache = subject.cache

    def add(name: str, axes: str, drop: int = STREAMS) -> None:
        add_array(data, array_name(m, name), cache[name][0], axes, drop)

    for name in ("hook_embed", "hook_pos_embed", "hook_token_type_embed"):
        if name in list(cache):
            add(name, "token width")
    for i in range(subject.model.config.num_hidden_layers):
        for name in STREAM:
            add(f"blocks.{i}.{name}", "token width")
        add(f"blocks.{i}.ln1.hook_normalized", "token width")
        layer_norm = stack_of(subject.model).blocks[i].attention_norm
        for name in ("weight", "bias"):
            add_array(data, array_name(m, f"blocks.{i}.ln1.{name}"),
                      getattr(layer_norm, name).data, "width", STREAMS)
        drop = QUERIES if i != data["start"]["layer"] else STREAMS
        for name in HEADS:
            add(f"blocks.{i}.attn.{name}", "token head width", drop)
        add(f"blocks.{i}.attn.hook_qk", "head query key", drop)
        result = cache[f"blocks.{i}.attn.hook_result"][0]  # (T, H, C)
        add_array(data, array_name(m, f"blocks.{i}.result_norms"),
                  np.linalg.norm(result, axis=-1), "token head")
        add_neurons(data, m, subject, i)


def add_neurons(data: dict, m: int, subject: Subject, layer: int) -> None:
    """Add the NEURONS strongest of each token: their numbers, and values before and after GELU."""
    pre, post = (subject.cache[f"blocks.{layer}.mlp.{name}"][0] for name in ("hook_pre",
                                                                            "hook_post"))
    which = np.argsort(-np.abs(post), axis=-1, kind="stable")[:, :NEURONS]
    for name, values in (("numbers", which), ("pre", np.take_along_axis(pre, which, -1)),
                         ("post", np.take_along_axis(post, which, -1))):
        add_array(data, array_name(m, f"blocks.{layer}.neurons.{name}"), values, "token place")


def add_outputs(data: dict, m: int, subject: Subject) -> list[dict]:
    """Add all logits at the target's position, the vector before them and the vectors of the ten
    likeliest outputs and the target; return these outputs: [{"word", "id", "bias"}]."""
    target = subject.target
    logits = target.logits(subject.outputs).data
    add_array(data, array_name(m, "target_logits"), logits, "output")
    add_array(data, array_name(m, "target_logits.grad"), subject.logits.grad, "output")
    hidden, weight, bias = final_layer(subject)
    chosen = [(word, i) for word, _, i in top_outputs(subject, 10)]
    chosen += [(target.word, target.id)] * (target.id not in [i for _, i in chosen])
    ids = [i for _, i in chosen]
    if hidden is not None:
        add_array(data, array_name(m, "target_hidden"), hidden, "width")
        add_array(data, array_name(m, "output_vectors"), weight[ids], "place width")
    return [{"word": word, "id": i, "bias": 0.0 if bias is None else float(bias[i])}
            for word, i in chosen]


def final_layer(subject: Subject) -> tuple[np.ndarray | None, ...]:
    """(hidden vector (C,), weight (V, C), bias (V,) or None) whose product the logits are."""
    model, cache, position = subject.model, subject.cache, subject.target.position
    if isinstance(model, GPT2LMHeadModel):
        return cache["ln_final.hook_normalized"][0, position], model.lm_head.data, None
    if subject.target.kind == "word":
        head = model.mlm_head
        return cache["mlm_head.hook_transformed"][0, position], head.decoder.data, head.bias.data
    for name in ("classifier", "nsp_head", "score", "qa_outputs"):
        layer = getattr(model, name, None)
        if layer is not None and subject.target.kind in ("class", "tag"):
            last = "ln_final.hook_normalized" if subject.causal else \
                f"blocks.{len(stack_of(model).blocks) - 1}.hook_normalized_resid_post"
            has_pooler = "pooler.hook_out" in list(cache)
            hidden = cache["pooler.hook_out"][0] if has_pooler else cache[last][0, position]
            if isinstance(layer, ClassificationHead):
                layer, hidden = layer.out_proj, cache["classifier.hook_out"][0]
            return hidden, layer.weight.data, None if layer.bias is None else layer.bias.data
    return None, None, None


# ---- backward ------------------------------------------------------------------------------------


def backward(subject: Subject) -> float:
    """The loss -ln p(target), after one walk back from it: the gradients stand in subject.cache,
    subject.logits and, by parameter, in subject.gradients. The model's own `.grad` are kept."""
    if subject.gradients is None:
        parameters = dict(subject.model.named_parameters())
        before = {name: p.grad for name, p in parameters.items()}
        subject.model.zero_grad()
        with F.reference():
            subject.logits = subject.target.logits(subject.outputs)
            subject.logits.retain_grad()
            loss = F.cross_entropy(subject.logits, np.array(subject.target.id))
            loss.backward()
        subject.loss = loss.item()
        subject.gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        for name, grad in before.items():
            parameters[name].grad = grad
    return subject.loss


def add_gradients(data: dict, m: int, subject: Subject) -> None:
    """Add the gradients of scores and weights, and the norms of all others, by token."""
    for i in range(subject.model.config.num_hidden_layers):
        for name in ("attn.hook_pattern", "attn.hook_attn_scores"):
            add_array(data, array_name(m, f"blocks.{i}.{name}.grad"),
                      subject.cache.grad(f"blocks.{i}.{name}")[0], "head query key", QUERIES)
        norms = [np.linalg.norm(subject.cache.grad(f"blocks.{i}.{name}")[0], axis=-1)
                 for name in STREAM]
        norms += [np.linalg.norm(subject.cache.grad(f"blocks.{i}.attn.{name}")[0], axis=(-1, -2))
                  for name in HEADS]
        add_array(data, array_name(m, f"blocks.{i}.grad_norms"), np.stack(norms, 1), "token name")


def adamw_part(subject: Subject, optimizer: dict) -> dict:
    """{"optimizer", "weights"}: one step of AdamW on the weight with the largest gradient of each
    matrix, from this text's loss alone. `optimizer` has lr, betas, eps, clip, weight_decay, step,
    moments {name: (exp_avg, exp_avg_sq)} and a note that says where they come from.
    """
    parameters = dict(subject.model.named_parameters())
    grads = subject.gradients
    norm = math.sqrt(sum([float(np.vdot(grad, grad)) for grad in grads.values()]))
    clip = optimizer["clip"] or math.inf
    scale = min(1.0, clip / (norm + 1e-6))
    weights = []
    for name, grad in grads.items():
        if grad.ndim < 2 or not grad.any():
            continue
        index = np.unravel_index(np.abs(grad).argmax(), grad.shape)
        moments = optimizer["moments"].get(name, (np.zeros_like(grad), np.zeros_like(grad)))
        w, g, m, v = (float(array[index]) for array in (parameters[name].data, grad, *moments))
        decay = optimizer["weight_decay"] if name in optimizer["decayed"] else 0.0
        new = reference.adamw_step(np.float64(w), np.float64(g * scale), np.float64(m),
                                   np.float64(v), optimizer["step"], optimizer["lr"],
                                   optimizer["betas"], optimizer["eps"], decay)
        weights.append({"name": f"{name}[{', '.join(map(str, index))}]", "w": w, "g": g, "m": m,
                        "v": v, "decay": decay, "new": float(new[0])})
    shown = {name: optimizer[name] for name in ("lr", "betas", "eps", "step", "note")}
    lines = [quote(reference.adamw_step, part) for part in
             ("w = w - lr * weight_decay", "m = beta1 * m", "v = beta2 * v", "w = w - lr * (m /")]
    return {"optimizer": {**shown, "norm": norm, "clip": optimizer["clip"], "scale": scale,
                          "lines": lines}, "weights": weights}
