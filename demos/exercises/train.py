"""Train minibert/micro.py's GPT or BERT with the function of a solved exercise in it.

    python demos/exercises/train.py 6            # attention with your attention_backward
    python demos/exercises/train.py 6 --steps 50

Only that function is replaced; all the rest is micro's. An exercise that is not solved is refused,
with what its check says.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

import tests.conftest  # noqa: E402, F401  settings of hypothesis, before it is imported
from tests.exercises.checker import Fault, NotBegun, check, function_of, load  # noqa: E402
from tests.exercises.ladder import LADDER  # noqa: E402

from minibert import micro  # noqa: E402
from minibert.micro import Tensor  # noqa: E402
from minibert.tokenizers.wordpiece_training import learn_pieces  # noqa: E402

Learner = dict[str, Callable]  # the functions of the exercise, by their names


# ---- one function of micro replaced by the learner's ---------------------------------------------


def install_product(learner: Learner) -> None:
    def multiply(a, b):
        b = b if isinstance(b, Tensor) else Tensor(b)

        def mul_backward(grad):
            return learner["mul_backward"](grad, a.data, b.data)

        return Tensor(a.data * b.data, (a, b), mul_backward)

    Tensor.__mul__ = Tensor.__rmul__ = multiply
    micro.unbroadcast = learner["unbroadcast"]


def install_walk(learner: Learner) -> None:
    def backward(self):
        self.grad = np.ones_like(self.data)
        for tensor in reversed(learner["topological_order"](self)):
            if tensor.inputs:
                for source, grad in zip(tensor.inputs, tensor.backward_fn(tensor.grad)):
                    source.grad += grad

    Tensor.backward = backward


def install_softmax(learner: Learner) -> None:
    forward = micro.softmax

    def softmax(x):
        P = forward(x).data

        def softmax_backward(dP):
            return (learner["softmax_backward"](dP, P),)

        return Tensor(P, (x,), softmax_backward)

    micro.softmax = softmax


def install_layer_norm(learner: Learner) -> None:
    forward = micro.layer_norm

    def layer_norm(x, weight, bias, eps=1e-5):
        def layer_norm_backward(dy):
            return learner["layer_norm_backward"](dy, x.data, weight.data, eps)

        return Tensor(forward(x, weight, bias, eps).data, (x, weight, bias), layer_norm_backward)

    micro.layer_norm = layer_norm


def install_attention(learner: Learner) -> None:
    """The values are the learner's, the gradients micro's."""
    with_gradient = micro.attention

    def attention(query, key, value, mask):
        output = with_gradient(query, key, value, mask)
        output.data = learner["attention"](query.data, key.data, value.data, mask)
        return output

    micro.attention = attention


def install_attention_backward(learner: Learner) -> None:
    forward = micro.attention

    def attention(query, key, value, mask):
        every_key = Tensor(np.eye(key.shape[-2]))  # as the values: the output is the weights
        P = forward(query, key, every_key, mask).data

        def attention_backward(dO):
            return learner["attention_backward"](dO, query.data, key.data, value.data, P)

        return Tensor(P @ value.data, (query, key, value), attention_backward)

    micro.attention = attention


def install_mask(learner: Learner) -> None:
    def attention_mask(ids, causal):
        return learner["attention_mask"](ids, causal)

    micro.attention_mask = attention_mask


def install_pieces(pieces_of: Callable[[str], list[str]], vocabulary: list[str]) -> None:
    """micro reads pieces instead of words; special tokens stay whole."""
    encode, specials = micro.encode, micro.VOCABULARY[:micro.MASK + 1]
    pieces_of = cache(pieces_of)  # one call for each word

    def encode_pieces(texts):
        return encode([" ".join([piece for word in text.split() for piece in
                                 ([word] if word in specials else pieces_of(word))])
                       for text in texts])

    micro.VOCABULARY = specials + vocabulary
    micro.encode = encode_pieces
    print(len(vocabulary), "pieces:", *vocabulary)
    print("thirsty ->", *pieces_of("thirsty"))


def install_wordpiece(learner: Learner) -> None:
    vocabulary = learn_pieces(story_words(), 40)
    install_pieces(lambda word: learner["wordpiece"](word, set(vocabulary)), vocabulary)


def install_byte_pair_encoding(learner: Learner) -> None:
    """25 merges; a word ends with _."""
    words = {tuple(word + "_"): count for word, count in story_words().items()}
    alphabet = sorted({symbol for word in words for symbol in word})
    merges = []
    for _ in range(25):
        counts = learner["count_pairs"](words)
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        words = {tuple(learner["merge_pair"](list(word), merges[-1])): count
                 for word, count in words.items()}

    def pieces_of(word):
        symbols = list(word + "_")
        for pair in merges:
            symbols = learner["merge_pair"](symbols, pair)
        return symbols

    install_pieces(pieces_of, alphabet + ["".join(pair) for pair in merges])


def story_words() -> dict[str, int]:
    return Counter(" ".join([f"{a} {b}" for a, b in micro.STORIES]).split())


def install_masked_words(learner: Learner) -> None:
    def mask_tokens(ids, rng):
        return learner["mask_tokens"](ids, len(micro.VOCABULARY), rng)

    micro.mask_tokens = mask_tokens


def install_sentence_pairs(learner: Learner) -> None:
    micro.sentence_pairs = learner["sentence_pairs"]


def install_cross_entropy(learner: Learner) -> None:
    def cross_entropy(logits, labels):
        rows = logits.data.reshape(-1, logits.shape[-1])
        loss, dlogits = learner["cross_entropy"](rows, labels.reshape(-1))

        def cross_entropy_backward(grad):
            return (grad * dlogits.reshape(logits.shape),)

        return Tensor(loss, (logits,), cross_entropy_backward)

    micro.cross_entropy = cross_entropy


def install_adamw(learner: Learner) -> None:
    def adamw_step(w, grad, m, v, t, lr, weight_decay):
        zeros = np.zeros(w.shape)
        return learner["adamw_step"](w, grad, zeros + m, zeros + v, t, lr, weight_decay, 0.9,
                                     0.999, 1e-8)

    micro.adamw_step = adamw_step


def install_block(learner: Learner) -> None:
    def block(x, w, mask, num_heads, norm_first, approximate):
        def attention(x):
            return micro.self_attention(x, w, mask, num_heads)

        def feed_forward(x):
            return micro.feed_forward(x, w, approximate)

        def attention_norm(x):
            return micro.layer_norm(x, *w["attention_norm"])

        def feed_forward_norm(x):
            return micro.layer_norm(x, *w["feed_forward_norm"])

        return learner["block"](x, attention, feed_forward, attention_norm, feed_forward_norm,
                                norm_first)

    micro.block = block


# ---- the models ----------------------------------------------------------------------------------


def trained_gpt(steps: int | None, T: int = 16):
    print(f"GPT, {len(micro.VOCABULARY)} tokens: a uniform guess loses "
          f"{math.log(len(micro.VOCABULARY)):.3f}")
    rng = np.random.default_rng(1)
    weights = micro.gpt_weights(rng, len(micro.VOCABULARY), T)
    return micro.train(weights, micro.gpt_losses, steps or 150, rng), rng


def train_gpt(learner: Learner, steps: int | None) -> None:
    w, rng = trained_gpt(steps)
    print("no story in training had a thirsty fox:", micro.generate("the thirsty fox", w, rng))


def train_gpt_on_pieces(learner: Learner, steps: int | None) -> None:
    w, rng = trained_gpt(steps or 250, T=64)
    text = micro.generate("the thirsty fox", w, rng)
    joined = text.replace(" ", "").replace("_", " ") if "_" in text else text.replace(" ##", "")
    print(f"no story in training had a thirsty fox: {text}\njoined: {joined}")


def train_bert(learner: Learner, steps: int | None) -> None:
    print(f"BERT, {len(micro.VOCABULARY)} tokens: a uniform guess loses "
          f"{math.log(len(micro.VOCABULARY)):.3f} at a word, 0.693 at a pair")
    rng = np.random.default_rng(1)
    weights = micro.bert_weights(rng, len(micro.VOCABULARY))
    w = micro.train(weights, micro.bert_losses, steps or 350, rng)
    text = "[CLS] the thirsty fox finds [MASK] . [SEP] it drinks . [SEP]"
    ids = micro.encode([text])
    p = micro.softmax(micro.bert(ids, w)[0]).data[ids == micro.MASK][0]  # (V,)
    print(f"no story in training had a thirsty fox: {text}\n    [MASK] =",
          *[f"{micro.VOCABULARY[i]} {p[i]:.3f} " for i in np.argsort(-p)[:3]])


class TopPGenerator:
    """A generator whose `choice` draws from the tokens that top_p keeps."""

    def __init__(self, learner: Learner, rng: np.random.Generator):
        self.learner, self.rng = learner, rng

    def choice(self, n: int, p: np.ndarray) -> int:
        return self.rng.choice(n, p=self.learner["top_p"](p, 0.9))


def generate_with_top_p(learner: Learner, steps: int | None) -> None:
    w, rng = trained_gpt(steps or 60)  # not finished: such a model makes mistakes
    stories = [f"{a} {b} [SEP]" for a, b in micro.STORIES]
    for name, generator in (("all tokens", rng), ("top-p 0.9", TopPGenerator(learner, rng))):
        texts = [micro.generate("the", w, generator) for _ in range(30)]
        print(f"{name}: {sum(text in stories for text in texts)} of 30 are stories of the text; "
              f"{texts[0]}")


def generate_with_a_cache(learner: Learner, steps: int | None) -> None:
    w, _ = trained_gpt(steps)
    H, D = 4, w["words"].shape[1] // 4
    empty = np.zeros((1, H, 0, D))
    caches = [(empty, empty) for _ in w["blocks"]]
    layer = 0

    def attention(query, key, value, mask):
        output, *caches[layer] = learner["cached_attention"](query.data, key.data, value.data,
                                                             *caches[layer])
        return Tensor(output)

    whole = micro.attention
    ids = new = micro.encode(["the thirsty fox"])
    rng, computed = np.random.default_rng(2), 0
    while ids[0, -1] != micro.SEP and ids.shape[1] < w["positions"].shape[0]:
        micro.attention = attention
        places = np.arange(ids.shape[1] - new.shape[1], ids.shape[1])
        x = w["words"][new] + w["positions"][places]  # (1, T, C)
        for layer, block_weights in enumerate(w["blocks"]):
            x = micro.block(x, block_weights, None, H, norm_first=True, approximate="tanh")
        logits = micro.layer_norm(x, *w["norm"]) @ w["words"].transpose(1, 0)
        p = micro.softmax(logits).data[0, -1]  # (V,)
        computed += new.shape[1]
        new = np.array([[rng.choice(len(p), p=p)]])
        ids = np.append(ids, new, axis=1)
    micro.attention = whole
    text = " ".join([micro.VOCABULARY[i] for i in ids[0]])
    without = sum(range(3, ids.shape[1]))
    print(f"with the cache:    {text}   ({computed} tokens went through the model)")
    print(f"without it:        {micro.generate('the thirsty fox', w, np.random.default_rng(2))}"
          f"   ({without} tokens)")


REWARDS = {
    "01_unbroadcast": (install_product, train_gpt),
    "02_graph_walk": (install_walk, train_gpt),
    "03_softmax_backward": (install_softmax, train_gpt),
    "04_layer_norm_backward": (install_layer_norm, train_bert),
    "05_attention": (install_attention, train_gpt),
    "06_attention_backward": (install_attention_backward, train_gpt),
    "07_masks": (install_mask, train_gpt),
    "08_wordpiece": (install_wordpiece, train_gpt_on_pieces),
    "09_byte_pair_encoding": (install_byte_pair_encoding, train_gpt_on_pieces),
    "10_masked_words": (install_masked_words, train_bert),
    "11_sentence_pairs": (install_sentence_pairs, train_bert),
    "12_cross_entropy": (install_cross_entropy, train_bert),
    "13_adamw": (install_adamw, train_gpt),
    "14_top_p": (None, generate_with_top_p),
    "15_block": (install_block, train_bert),
    "16_key_value_cache": (None, generate_with_a_cache)}


def solved_functions(name: str) -> Learner:
    """The learner's functions. Errors: Fault and NotBegun if one is not solved."""
    module = load(FOLDER / f"{name}.py")
    functions = {part.function: function_of(module, part.function) for part in LADDER[name]}
    for part in LADDER[name]:
        check(part, functions[part.function])
    return functions


def counting(function: Callable, counts: Counter) -> Callable:
    def counted(*arguments):
        counts[function.__name__] += 1
        return function(*arguments)

    return counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", type=int, choices=range(1, len(LADDER) + 1), metavar="NUMBER",
                        help=f"of the exercise, 1 to {len(LADDER)}")
    parser.add_argument("--steps", type=int, help="updates (default: what the model needs)")
    arguments = parser.parse_args()
    name = list(LADDER)[arguments.number - 1]
    try:
        functions = solved_functions(name)
    except NotBegun:
        print(f"{name}.py is not begun: solve it first.")
        return 1
    except Fault as error:
        print(f"{name}.py is not solved yet.\n\n{error}")
        return 1
    counts: Counter = Counter()
    learner = {key: counting(function, counts) for key, function in functions.items()}
    install, reward = REWARDS[name]
    if install is not None:
        install(learner)
    reward(learner, arguments.steps)
    print(*[f"your {key} ran {count:,} times" for key, count in counts.items()], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
