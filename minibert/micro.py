"""A GPT and a BERT in plain NumPy, from the gradient to the training loop, in one file.

Read it once from top to bottom; NumPy and the chain rule are enough. `python -m minibert.micro`
trains both. Tests hold it equal to the rest of the package, which is faster and also has dropout.

Letters: B batch, T tokens (S keys), H heads, D head width, C = H D model width, V vocabulary.
"""

import math

import numpy as np

# ---- 1. An array with a gradient ---------------------------------------------------------------

class Tensor:
    """An array, the tensors that an op computed it from, and the backward function of that op."""

    def __init__(self, data, inputs=(), backward_fn=None):
        self.data = np.asarray(data, np.float64)
        self.grad = np.zeros_like(self.data)  # dL/d(self) after L.backward()
        self.shape = self.data.shape
        self.inputs, self.backward_fn = inputs, backward_fn  # dL/d(self) -> dL/d(each input)

    def backward(self):
        """Add d(self)/d(tensor) to the `grad` of every tensor that self was computed from."""
        order, stack = {}, [self]  # a dict: it keeps the order and finds a tensor at once
        while stack:  # depth first: a tensor joins `order` after all its inputs
            pending = [source for source in stack[-1].inputs if source not in order]
            if pending:
                stack += pending
            else:
                order[stack.pop()] = True
        self.grad = np.ones_like(self.data)
        for tensor in reversed(order):  # its gradient is complete: all that used it came before
            if tensor.inputs:
                for source, grad in zip(tensor.inputs, tensor.backward_fn(tensor.grad)):
                    source.grad += grad  # not =: a tensor that is used twice gets two gradients

    # The ops. Their operands are called a, b and x, as in formulas, instead of self and other.
    def __add__(a, b):
        b = b if isinstance(b, Tensor) else Tensor(b)
        def add_backward(grad):
            return unbroadcast(grad, a.shape), unbroadcast(grad, b.shape)
        return Tensor(a.data + b.data, (a, b), add_backward)

    def __mul__(a, b):
        b = b if isinstance(b, Tensor) else Tensor(b)
        def mul_backward(grad):
            return unbroadcast(grad * b.data, a.shape), unbroadcast(grad * a.data, b.shape)
        return Tensor(a.data * b.data, (a, b), mul_backward)

    def __matmul__(a, b):  # (..., n, k) @ (..., k, m) -> (..., n, m)
        def matmul_backward(grad):
            return (unbroadcast(grad @ b.data.swapaxes(-1, -2), a.shape),
                    unbroadcast(a.data.swapaxes(-1, -2) @ grad, b.shape))
        return Tensor(a.data @ b.data, (a, b), matmul_backward)

    def elementwise(x, y, slope):  # y = f(x), slope = f'(x)
        def elementwise_backward(grad):
            return (grad * slope,)
        return Tensor(y, (x,), elementwise_backward)

    def __pow__(x, n): return x.elementwise(x.data ** n, slope=n * x.data ** (n - 1))
    def exp(x): return x.elementwise(np.exp(x.data), slope=np.exp(x.data))
    def log(x): return x.elementwise(np.log(x.data), slope=1 / x.data)
    def tanh(x): return x.elementwise(np.tanh(x.data), slope=1 - np.tanh(x.data) ** 2)
    def erf(x): return x.elementwise(np.vectorize(math.erf)(x.data),
                                     slope=2 / math.sqrt(math.pi) * np.exp(-x.data ** 2))

    def sum(x, axis=None):  # over all axes: -> (); over one axis: it stays, with size 1
        def sum_backward(grad):
            return (np.broadcast_to(grad, x.shape),)
        return Tensor(x.data.sum(axis, keepdims=axis is not None), (x,), sum_backward)

    def reshape(x, *shape):
        def reshape_backward(grad):
            return (grad.reshape(x.shape),)
        return Tensor(x.data.reshape(shape), (x,), reshape_backward)

    def transpose(x, *axes):
        def transpose_backward(grad):
            return (grad.transpose(np.argsort(axes)),)  # argsort inverts a permutation
        return Tensor(x.data.transpose(axes), (x,), transpose_backward)

    def __getitem__(x, index):
        def getitem_backward(grad):
            grad_x = np.zeros(x.shape)
            np.add.at(grad_x, index, grad)  # not =: an element may have been taken twice
            return (grad_x,)
        return Tensor(x.data[index], (x,), getitem_backward)

    __radd__, __rmul__ = __add__, __mul__  # number + tensor, number * tensor
    def __sub__(a, b): return a + -1 * b
    def __truediv__(a, b): return a * b ** -1.0
    def mean(x, axis): return x.sum(axis) / x.shape[axis]

def unbroadcast(grad, shape):
    """Sum over the axes along which NumPy repeated an operand of `shape`: grad -> `shape`."""
    in_front = tuple(range(grad.ndim - len(shape)))
    stretched = tuple([axis for axis, size in enumerate(shape) if size == 1])
    return grad.sum(in_front).sum(stretched, keepdims=True)

# ---- 2. The functions of a Transformer ---------------------------------------------------------

def softmax(x):
    """exp(x_i) / sum_j exp(x_j), over the last axis."""
    exponentials = (x - x.data.max(-1, keepdims=True)).exp()  # the maximum cancels: no overflow
    return exponentials / exponentials.sum(-1)

def linear(x, weight, bias):
    """x W^T + b: (..., in) -> (..., out), with W of shape (out, in)."""
    return x @ weight.transpose(1, 0) + bias

def layer_norm(x, weight, bias, eps=1e-5):
    """Ba, Kiros & Hinton 2016, eq. 4, over the last axis."""
    centred = x - x.mean(-1)  # (..., C) - (..., 1)
    variance = (centred * centred).mean(-1)  # (..., 1)
    return centred / (variance + eps) ** 0.5 * weight + bias

def gelu(x, approximate):
    """x Phi(x) (Hendrycks & Gimpel 2016, section 2): exact in BERT, by its tanh form in GPT-2."""
    if approximate == "tanh":
        return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)).tanh())
    return 0.5 * x * (1 + (x / math.sqrt(2)).erf())

def attention(query, key, value, mask):
    """softmax(Q K^T / sqrt(D)) V (Vaswani et al. 2017, eq. 1) in each head: (B, H, T, D)."""
    scores = query @ key.transpose(0, 1, 3, 2)  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
    scores = scores / math.sqrt(query.shape[-1]) + np.where(mask, 0.0, -1e30)  # exp(-1e30) = 0
    return softmax(scores) @ value  # (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)

def attention_mask(ids, causal):
    """True where a token may attend to another: (B, T) -> (B, 1, 1 or T, S)."""
    mask = (ids != PAD)[:, None, None, :]  # never to padding: (B, 1, 1, S)
    return mask & np.tri(ids.shape[1], dtype=bool) if causal else mask  # nor to later tokens

def cross_entropy(logits, labels):
    """The mean of -log softmax(logits)[label], without IGNORED labels: (..., V), (...) -> ()."""
    logits, labels = logits[labels != IGNORED], labels[labels != IGNORED]  # (M, V), (M,)
    shifted = logits - logits.data.max(-1, keepdims=True)
    log_softmax = shifted - shifted.exp().sum(-1).log()  # (M, V)
    return -1 * log_softmax[np.arange(len(labels)), labels].sum() / max(len(labels), 1)

# ---- 3. The block ------------------------------------------------------------------------------

def self_attention(x, w, mask, num_heads):
    """H heads side by side (Vaswani et al. 2017, section 3.2.2): (B, T, C) -> (B, T, C)."""
    B, T, C = x.shape
    qkv = linear(x, *w["qkv"]).reshape(B, T, 3, num_heads, C // num_heads)  # (B, T, 3, H, D)
    query, key, value = [qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]  # (B, H, T, D)
    heads = attention(query, key, value, mask)  # (B, H, T, D)
    return linear(heads.transpose(0, 2, 1, 3).reshape(B, T, C), *w["attention_output"])

def feed_forward(x, w, approximate):  # each token on its own: (B, T, C) -> (B, T, 4 C) -> (B, T, C)
    return linear(gelu(linear(x, *w["expand"]), approximate), *w["contract"])

def block(x, w, mask, num_heads, norm_first, approximate):
    """Norms before the branches (Radford et al. 2019) or after the sums (Vaswani et al. 2017)."""
    if norm_first:  # all (B, T, C)
        x = x + self_attention(layer_norm(x, *w["attention_norm"]), w, mask, num_heads)
        return x + feed_forward(layer_norm(x, *w["feed_forward_norm"]), w, approximate)
    x = layer_norm(x + self_attention(x, w, mask, num_heads), *w["attention_norm"])
    return layer_norm(x + feed_forward(x, w, approximate), *w["feed_forward_norm"])

# ---- 4. The two models -------------------------------------------------------------------------

def gpt(ids, w, num_heads=4):
    """Radford et al. 2019: ids (B, T) -> logits (B, T, V) of the token that follows each."""
    mask = attention_mask(ids, causal=True)
    x = w["words"][ids] + w["positions"][:ids.shape[1]]  # (B, T, C) + (T, C)
    for block_weights in w["blocks"]:
        x = block(x, block_weights, mask, num_heads, norm_first=True, approximate="tanh")
    return layer_norm(x, *w["norm"]) @ w["words"].transpose(1, 0)  # the embedding again: (B, T, V)

def bert(ids, w, num_heads=4):
    """Devlin et al. 2019: ids (B, T) of "[CLS] A [SEP] B [SEP]" -> logits (B, T, V) of the word at
    each place, and logits (B, 2) of "B follows A" and "B does not"."""
    mask = attention_mask(ids, causal=False)
    segments = 1 * (np.arange(ids.shape[1]) > (ids == SEP).argmax(1)[:, None])  # 1 from B on
    x = w["words"][ids] + w["segments"][segments] + w["positions"][:ids.shape[1]]  # (B, T, C)
    x = layer_norm(x, *w["norm"])
    for block_weights in w["blocks"]:
        x = block(x, block_weights, mask, num_heads, norm_first=False, approximate="none")
    pooled = linear(x[:, 0], *w["pooler"]).tanh()  # the first token's vector: (B, C)
    x = layer_norm(gelu(linear(x, *w["mlm_dense"]), "none"), *w["mlm_norm"])  # (B, T, C)
    return linear(x, w["words"], w["mlm_bias"]), linear(pooled, *w["nsp"])

def layer(rng, *shape):  # [weight, bias] of a linear layer (out, in), or of a layer norm (C,)
    weight = rng.normal(0, 0.1, shape) if len(shape) == 2 else np.ones(shape)  # BERT-base: 0.02
    return [Tensor(weight), Tensor(np.zeros(shape[0]))]

def gpt_weights(rng, V, T=16, C=32, num_layers=2):
    return {"words": layer(rng, V, C)[0], "positions": layer(rng, T, C)[0], "norm": layer(rng, C),
            "blocks": [{"qkv": layer(rng, 3 * C, C), "attention_output": layer(rng, C, C),
                        "expand": layer(rng, 4 * C, C), "contract": layer(rng, C, 4 * C),
                        "attention_norm": layer(rng, C), "feed_forward_norm": layer(rng, C)}
                       for _ in range(num_layers)]}

def bert_weights(rng, V, T=16, C=32, num_layers=2):
    return gpt_weights(rng, V, T, C, num_layers) | {
        "segments": layer(rng, 2, C)[0], "pooler": layer(rng, C, C), "nsp": layer(rng, 2, C),
        "mlm_dense": layer(rng, C, C), "mlm_norm": layer(rng, C), "mlm_bias": Tensor(np.zeros(V))}

# ---- 5. The text and the two objectives --------------------------------------------------------

STORIES = [(f"the {need} {animal} finds {thing} .", f"it {verb} .")
           for animal in ["cat", "dog", "mouse", "fox"]
           for need, thing, verb in [("hungry", "food", "eats"), ("thirsty", "water", "drinks"),
                                     ("tired", "a bed", "sleeps"), ("scared", "a hole", "hides")]
           if (need, animal) != ("thirsty", "fox")]  # the one story to be met after training
PAD, CLS, SEP, MASK = range(4)
VOCABULARY = ["[PAD]", "[CLS]", "[SEP]", "[MASK]",
              *sorted({word for a, b in STORIES for word in f"{a} {b}".split()})]
IGNORED = -100  # the label of a token that is not to be predicted

def encode(texts):
    """Words to ids, padded to the longest text: (B, T)."""
    rows = [[VOCABULARY.index(word) for word in text.split()] for text in texts]
    return np.array([row + [PAD] * (max(map(len, rows)) - len(row)) for row in rows])

def mask_tokens(ids, rng):
    """Choose 15 % of the words to be predicted; show 80 % of these as [MASK], 10 % as a random
    word, 10 % as they are (Devlin et al. 2019, section 3.1): ids (B, T) -> shown, labels."""
    chosen = (rng.random(ids.shape) < 0.15) & (ids > MASK)  # no special token
    random_words = rng.integers(MASK + 1, len(VOCABULARY), ids.shape)
    u = rng.random(ids.shape)
    shown = np.select([u < 0.8, u < 0.9], [MASK, random_words], default=ids)
    return np.where(chosen, shown, ids), np.where(chosen, ids, IGNORED)

def sentence_pairs(stories, rng):
    """[CLS] A [SEP] B [SEP] with A's own B (label 0) or, half of the time, another B (label 1)."""
    labels = rng.integers(0, 2, len(stories))
    others = [[other for _, other in stories if other != b] for _, b in stories]
    texts = [f"[CLS] {a} [SEP] {rng.choice(wrong) if label else b} [SEP]"
             for (a, b), wrong, label in zip(stories, others, labels)]
    return texts, labels

def gpt_losses(w, rng):
    ids = encode([f"{a} {b} [SEP]" for a, b in STORIES])  # (B, T)
    labels = np.where(ids == PAD, IGNORED, ids)
    return {"next token": cross_entropy(gpt(ids[:, :-1], w), labels[:, 1:])}

def bert_losses(w, rng):
    texts, pair_labels = sentence_pairs(STORIES * 2, rng)
    shown, word_labels = mask_tokens(encode(texts), rng)
    word_logits, pair_logits = bert(shown, w)
    return {"masked words": cross_entropy(word_logits, word_labels),
            "next sentence": cross_entropy(pair_logits, pair_labels)}

# ---- 6. Training -------------------------------------------------------------------------------

def adamw_step(w, grad, m, v, t, lr, weight_decay, beta1=0.9, beta2=0.999, eps=1e-8):
    """Step t = 1, 2, ... (Loshchilov & Hutter 2019, algorithm 2): the new w, m and v."""
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad ** 2
    m_hat, v_hat = m / (1 - beta1 ** t), v / (1 - beta2 ** t)
    return w - lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * w), m, v

def parameters(w):  # all tensors in nested dicts and lists
    parts = w.values() if isinstance(w, dict) else w
    return [w] if isinstance(w, Tensor) else [leaf for part in parts for leaf in parameters(part)]

def train(weights, losses, steps, rng, lr=3e-3):  # losses(weights, rng) -> {name: loss}
    tensors = parameters(weights)
    m, v = [0.0] * len(tensors), [0.0] * len(tensors)
    for t in range(1, steps + 1):
        terms = losses(weights, rng)
        sum(terms.values()).backward()
        for i, w in enumerate(tensors):
            decay = 0.01 if w.data.ndim == 2 else 0.0  # not of biases and norms
            w.data, m[i], v[i] = adamw_step(w.data, w.grad, m[i], v[i], t, lr, decay)
            w.grad = np.zeros(w.shape)
        if t == 1 or t % 50 == 0:
            print(f"step {t:3d}", *[f"  {name} {loss.data:.3f}" for name, loss in terms.items()])
    return weights

def generate(text, w, rng):
    """Continue a text up to [SEP], each token drawn from the model's probabilities."""
    ids = encode([text])
    while ids[0, -1] != SEP and ids.shape[1] < w["positions"].shape[0]:
        p = softmax(gpt(ids, w)).data[0, -1]  # (V,)
        ids = np.append(ids, [[rng.choice(len(VOCABULARY), p=p)]], axis=1)
    return " ".join([VOCABULARY[i] for i in ids[0]])

if __name__ == "__main__":
    rng, V = np.random.default_rng(1), len(VOCABULARY)
    print(f"A uniform guess loses ln {V} = {math.log(V):.3f} at a word, ln 2 = 0.693 at a pair.\n")
    least = math.log(len(STORIES)) / np.mean([len(f"{a} {b}".split()) for a, b in STORIES])
    print(f"GPT (the least possible loss is {least:.3f}: which story begins cannot be known)")
    w = train(gpt_weights(rng, V), gpt_losses, 150, rng)
    print(generate("the", w, rng), generate("the thirsty fox", w, rng), "\nBERT", sep="\n")
    w = train(bert_weights(rng, V), bert_losses, 350, rng)
    for text in ["[CLS] the thirsty fox finds [MASK] . [SEP] it drinks . [SEP]",
                 "[CLS] the thirsty fox finds water . [SEP] it drinks . [SEP]",
                 "[CLS] the thirsty fox finds water . [SEP] it sleeps . [SEP]"]:
        ids = encode([text])
        words, pairs = [softmax(logits).data for logits in bert(ids, w)]  # (1, T, V), (1, 2)
        print(f"{text}   P(B follows A) = {pairs[0, 0]:.3f}")
        for p in words[ids == MASK]:  # (V,)
            print("    P([MASK]):", *[f"{VOCABULARY[i]} {p[i]:.3f} " for i in np.argsort(-p)[:3]])
