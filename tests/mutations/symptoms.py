"""Figures of the package as seen from outside, one line of JSON each: {"name": ..., "value": ...}.

hunt.py runs this file twice, with the sound package and with the one that has a mutation in it.
"""

from __future__ import annotations

import json

import numpy as np

import minibert as mb
from minibert import micro
from minibert.generation.sampling import keep_top_k, keep_top_p, probabilities
from minibert.pretraining.masked_lm import mask_tokens

STEPS, SHOWN = 24, (1, 8, 16, 24)
WORDS = np.arange(micro.MASK + 1, len(micro.VOCABULARY))


def gpt():
    config = mb.GPT2Config(vocab_size=len(micro.VOCABULARY), n_positions=24, n_embd=24, n_layer=2,
                           n_head=3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                           bos_token_id=1, eos_token_id=2, pad_token_id=0)
    return mb.GPT2LMHeadModel(config, rng=np.random.default_rng(3))


def bert():
    config = mb.BertConfig(vocab_size=len(micro.VOCABULARY), hidden_size=24, num_hidden_layers=2,
                           num_attention_heads=3, intermediate_size=96, max_position_embeddings=24,
                           hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return mb.BertForPreTraining(config, rng=np.random.default_rng(3))


def texts():
    return micro.encode([f"[CLS] {a} [SEP] {b} [SEP]" for a, b in micro.STORIES])


def curve(model, loss_of):
    optimizer = mb.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(STEPS):
        loss = loss_of()
        loss.backward()
        mb.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(round(float(loss.data), 4))
    return [losses[step - 1] for step in SHOWN]


def gpt_curve():
    model, ids = gpt(), texts()
    return curve(model, lambda: model(ids, attention_mask=ids != 0,
                                      labels=np.where(ids == 0, -100, ids)).loss)


def bert_curve():
    model, rng = bert(), np.random.default_rng(1)

    def loss_of():
        pairs, following = micro.sentence_pairs(micro.STORIES, rng)
        ids = micro.encode(pairs)
        shown, places, words = mask_tokens(ids, WORDS, micro.MASK, rng)
        labels = np.full(ids.shape, -100)
        labels.ravel()[places] = words
        return model(shown, attention_mask=ids != 0, labels=labels,
                     next_sentence_label=following).loss

    return curve(model, loss_of)


def largest(a, b):
    return f"{np.abs(a - b).max():.2g}"


def causality():
    model, ids = gpt().eval(), texts()
    changed = ids.copy()
    changed[:, 6] = 5
    return largest(model(ids).logits.data[:, :6], model(changed).logits.data[:, :6])


def padding():
    model, ids = bert().eval(), texts()
    more = np.pad(ids, ((0, 0), (0, 3)))
    a, b = [model(x, attention_mask=x != 0).prediction_logits.data for x in (ids, more)]
    real = ids != 0
    return largest(a[real], b[:, :ids.shape[1]][real])


def permutation():
    model, ids = bert().eval(), texts()
    a, b = [model(x, attention_mask=x != 0).seq_relationship_logits.data for x in (ids, ids[::-1])]
    return largest(a, b[::-1])


def cached_decoding():
    """Greedy: `generate`, and the largest logit of a whole forward for each token."""
    model, ids = gpt().eval(), texts()[:1, :5]
    cached = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
    for _ in range(8):
        ids = np.append(ids, [[model(ids).logits.data[0, -1].argmax()]], axis=1)
    return [cached[0, 5:].tolist(), ids[0, 5:].tolist()]


def implementations():
    """Fused and reference: losses and a gradient."""
    found = []
    for fused in (True, False):
        model, ids = gpt().double(), texts()
        if fused:
            loss = model(ids, labels=ids).loss
        else:
            with mb.reference():
                loss = model(ids, labels=ids).loss
        loss.backward()
        found.append(np.concatenate([[float(loss.data)],
                                     *[p.grad.ravel() for p in model.parameters()]]))
    return f"{np.abs(found[0] - found[1]).max() / np.abs(found[0]).max():.1g}"


def gradients():
    """The complex step against backward, by function: the largest relative error."""
    f, rng = mb.functional, np.random.default_rng(0)
    x, w, b = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=5)
    q = rng.normal(size=(2, 3, 4, 5))
    cases = {"softmax": (f.softmax, [x]), "log_softmax": (f.log_softmax, [x]),
             "gelu": (f.gelu, [x]), "tanh gelu": (lambda x: f.gelu(x, "tanh"), [x]),
             "layer_norm": (lambda x, w, b: f.layer_norm(x, (5,), w, b), [x, w, b]),
             "linear": (f.linear, [x, rng.normal(size=(4, 5)), rng.normal(size=4)]),
             "attention": (lambda q, k, v: f.scaled_dot_product_attention(q, k, v, is_causal=True),
                           [q, q + 1, q * 2]),
             "cross_entropy": (lambda x: f.cross_entropy(x, np.array([0, -100, 4])), [x]),
             "a * b, stretched": (lambda a, b: a * b, [x, w]),
             "a / b": (lambda a, b: a / b, [x, w]), "a @ b": (lambda a, b: a @ b, [x, x.T])}
    wrong = []
    for name, (function, inputs) in cases.items():
        try:
            mb.gradcheck(function, inputs)
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}")
    return wrong


def values():
    f, x = mb.functional, mb.Tensor(np.array([[1.0, 2.0, 4.0]]))
    weight = mb.Tensor(np.array([1.0, 2.0, 3.0]))
    return {"softmax": f.softmax(x, -1).data.round(4).tolist(),
            "gelu": f.gelu(x).data.round(4).tolist(),
            "layer_norm": f.layer_norm(x, (3,), weight, weight).data.round(4).tolist(),
            "cross_entropy": round(float(f.cross_entropy(x, np.array([1])).data), 4)}


def optimizer():
    w = mb.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    adamw = mb.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    for _ in range(2):
        (w * w).sum().backward()
        adamw.step()
        adamw.zero_grad()
    return w.data.round(4).tolist()


def sampling():
    logits = np.log(np.array([[0.1, 0.4, 0.2, 0.3]]))
    return {"top-p 0.6": probabilities(keep_top_p(logits, 0.6)).round(3).tolist(),
            "top-k 2": probabilities(keep_top_k(logits, 2)).round(3).tolist()}


def masking():
    ids = np.tile(texts(), (40, 1))
    shown, places, words = mask_tokens(ids, WORDS, micro.MASK, np.random.default_rng(0))
    shown = shown.ravel()[places]
    return {"chosen": round(len(places) / np.isin(ids, WORDS).sum(), 3),
            "[MASK]": round(float((shown == micro.MASK).mean()), 3),
            "kept": round(float((shown == words).mean()), 3)}


def tokenizers():
    text = "Playing unplayed plays; the players play."
    wordpiece = mb.BertTokenizer.train([text] * 3, 40)
    bytes_ = mb.GPT2Tokenizer.train([text] * 3, 280)
    return {"WordPiece": wordpiece.tokenize(text), "BPE": bytes_.tokenize(text),
            "decoded": bytes_.decode(bytes_.encode(text))}


FIGURES = {
    "GPT, loss at steps 1, 8, 16, 24": gpt_curve,
    "BERT, loss at steps 1, 8, 16, 24": bert_curve,
    "law: a later token changes an earlier output of GPT by": causality,
    "law: more padding changes an output of BERT by": padding,
    "law: another order of the batch changes BERT's pair logits by": permutation,
    "law: decoding with and without the cache": cached_decoding,
    "law: fused and reference GPT differ, relatively, by": implementations,
    "law: gradients that differ from the complex step": gradients,
    "values of functions": values,
    "AdamW: w after two steps": optimizer,
    "sampling": sampling,
    "masked words, shares": masking,
    "tokens": tokenizers}


def main() -> None:
    for name, figure in FIGURES.items():
        try:
            value = figure()
        except Exception as error:
            value = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps({"name": name, "value": value}))


if __name__ == "__main__":
    main()
