"""Makes reference/gpt2_tokenizer.json: what Hugging Face's GPT2Tokenizer says about nasty texts.

    python tests/tokenizers/make_gpt2_tokenizer_reference.py  (needs transformers; never the tests)

A small vocabulary is trained by Hugging Face's own trainer; its vocabulary and merges are stored
with the ids and offsets of a few hundred texts, and with what random ids decode to. Random texts
use only characters that came with Unicode 3.2 or before, since every Python has these. The code
points that are cut differently from the reference are listed: none so far.
"""

import json
import random
import tempfile
import unicodedata
from pathlib import Path

import tokenizers
import transformers
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Tokenizer

from minibert.tokenizers.byte_level_pre_tokenizer import word_pattern

END = "<|endoftext|>"
TRAINING_TEXT = """
The quick brown fox jumps over the lazy dog. It's a fox's life, they're told; we've seen 12 of 123
foxes in 2018, and they'll see more, won't they? I'm sure he'd know. The dog doesn't care at all.
Zürich, naïve café, über, Ünïcödé, señor, straße, façade; Привет, мир! Привет, лиса. Γειά σου Κόσμε.
日本語のテキスト、日本語。中文字符。한국어 텍스트. שלום עולם, مرحبا بالعالم. ½ ¾ ² ³ Ⅷ ٣٤٥ 😀😀 👍🏽 … “quoted” — dashes
    indented code(with=1, spaces=[2, 3]):\n\t\treturn {"a": 10_000}\n\n\n
""" * 3

HANDMADE = [
    "", " ", "  ", "   a", "a   ", "a  b", " a", "\n", "\n\n", "a\n", "a\n\nb", "\n a", " \n a",
    "\t\t\ta", "a\tb", "a \t b", "\r\n", "a\r\nb", "a\x0bb", "a\x0cb", "a\x1cb", "a \x1c b",
    "a\x1db\x1ec\x1fd", "\x1c", " \x1c ", "a\x85b", "a \x85 b", "\x85", "a\u00a0b", "a \u00a0b",
    "\u00a0\u00a0a", "a\u1680b", "a\u180eb", "a \u180e b", "a\u2000b\u200ac", "a\u200bb",
    "a \u200b b", "a\u2028b", "a\u2029\u2029b", "a\u202fb", "a\u205fb", "a\u2060b", "a\u3000b",
    "\u3000 \u3000a", "\ufeffa", "a\ufeff b", "\x00", "a\x00b", "\x7f", "\x80", "\ufffd", "\ufffe",
    "\uffff", "\U0010ffff", "it's", "it's its'", "IT'S", "'s", "''s", "'sam", "x'tx", "we're 're",
    "they'll'll", "'LL", "I'm'm", "he'd'd", "'", "''", "' s", "can't've", "d'd", "it’s", "'ſ",
    "'ve've", " 's", "a 's", "5's", "!'s", "123", "1 2 3", "a1b2", "12.5", "1,000", " 42", "  42",
    "½", "a½", "²³", "Ⅷ", "٣٤٥", "१२३", "①②", "𝟙𝟚", "一二三", "1½", "x²", "〇", "㉑", "\U00010107", "!",
    "!!!", " !", "  !", "a!", "!a", "!1", "?!?", "...", "…", "--", "—", "a-b", "a - b", "$5", "€5",
    "£ 5", "^^", "~", "`x`", "|", "<>", "<b>", "@user", "#tag", "_a_", "a_b", "__", "é", "e\u0301",
    "\u0301", " \u0301", "a\u0301b", "1\u0301", "ñandú", "Ünïcödé", "ß", "ẞ", "ﬁ", "ǅ", "ʰ", "ª",
    "º", "Å", "Ω", "İ", "ı", "ς", "Привет", "мир", " мир", "Κόσμε", "日本語", "日 本", "。", "日本語。中文",
    "ひらがな", "カタカナ", "ー", "々", "한국어", "\u1112\u1161\u11ab", "שלום", "שָׁלוֹם", "مرحبا", "مِصْر",
    "हिन्दी", "ไทย", "த\u0bbf", "\u0e33", "ཨོཾ", "😀", " 😀", "😀😀", "a😀b", "😀 1", "👍🏽",
    "👩\u200d👩\u200d👧", "🇫🇷", "☃\ufe0f", "1\ufe0f\u20e3", "\U0001f600\u0301", "𝐀𝐁", "\U00020000",
    "\U000f0000", "\ue000", "\u00ad", "a\u00adb", "\u202ea", "\u034f", "Ġ", "Ċ", "Ġa", "Ã©", "âĢĻ",
    "ł", "Ā", END, END * 2, f"a{END}b", f"a {END} b", f"{END}\n", f"\n\n{END}", f"'{END}'s",
    "<|endoftext", "endoftext|>", "<|endoftext|", "<|ENDOFTEXT|>", "< |endoftext|>", f"<{END}>",
    f"<|endof{END}text|>", f" {END}", "  " + END + "  ", "a" * 300, "ab" * 150, " " * 40,
    " " * 40 + "a", "\n" * 30, "é" * 60, "日" * 60, "1" * 60, "!" * 60, "😀" * 20,
    "the quick brown fox", "The  quick\n\nbrown   fox.", "foxes' foxes's",
    "def f(x):\n    return x  # ok\n", '{"a": [1, 2]}\n', "C:\\dir\\file.txt",
    "https://x.org/?q=1&r=é", "e-mail@x.org", "1st 2nd", "3.14e-10", "a\u0488b", "x\u20dd",
    "\u0903", "\U0001d15e", "\U0001f1e6",
]


def random_text(rng: random.Random, by_category: dict[str, list[str]]) -> str:
    def some() -> str:
        r = rng.random()
        if r < 0.4:
            return rng.choice("abcdefgABC    '.,012\n\t")
        if r < 0.6:
            return rng.choice(["'s", "'re", "'ll", " the", " fox", "  ", "\n\n", "\x85", "\u3000",
                               "\x1c", END, "<|endof", "é", "e\u0301", "日本", "😀", "ß", "½",
                               "мир", "…"])
        return rng.choice(by_category[rng.choice(sorted(by_category))])

    return "".join(some() for _ in range(rng.randint(1, 16)))


def cut_differently(reference: GPT2Tokenizer) -> list[int]:
    """The code points (of this Python's Unicode) around which words end elsewhere."""
    cut = reference.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    codes = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) not in ("Cn", "Cs"):
            text = f"a{chr(code)}1"
            if [m.span() for m in word_pattern().finditer(text)] != [span for _, span in cut(text)]:
                codes.append(code)
    return codes


def main() -> None:
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator([TRAINING_TEXT], vocab_size=600, min_frequency=2,
                                special_tokens=[], show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_model(folder)
        vocab = json.loads((Path(folder) / "vocab.json").read_text(encoding="utf-8"))
        lines = (Path(folder) / "merges.txt").read_text(encoding="utf-8").splitlines()
        vocab[END] = len(vocab)
        (Path(folder) / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
        reference = GPT2Tokenizer.from_pretrained(folder)
    by_category: dict[str, list[str]] = {}
    for code in range(0x110000):
        category = unicodedata.ucd_3_2_0.category(chr(code))
        if category not in ("Cn", "Cs") and unicodedata.category(chr(code)) == category:
            by_category.setdefault(category, []).append(chr(code))
    rng = random.Random(2019)
    texts = HANDMADE + [random_text(rng, by_category) for _ in range(250)]
    splits = []
    for text in texts:
        row = reference(text, return_offsets_mapping=True)
        splits.append([text, row["input_ids"], [list(o) for o in row["offset_mapping"]]])
    joins = []
    for _ in range(150):  # mostly halves of characters
        ids = [rng.choice([rng.randrange(256), rng.randrange(len(vocab)), vocab[END]])
               for _ in range(rng.randint(0, 7))]
        joins.append([ids, reference.decode(ids, clean_up_tokenization_spaces=False),
                      reference.decode(ids, True, clean_up_tokenization_spaces=False)])
    content = {
        "made_with": {"transformers": transformers.__version__,
                      "tokenizers": tokenizers.__version__,
                      "unicode of this Python": unicodedata.unidata_version},
        "cut_differently": cut_differently(reference),
        "vocab": vocab, "merges": [line for line in lines if not line.startswith("#version")],
        "splits": splits, "joins": joins,
    }
    path = Path(__file__).parent / "reference" / "gpt2_tokenizer.json"
    with path.open("w", encoding="ascii") as file:  # one line a case, so that changes can be read
        file.write("{\n" + ",\n".join(
            f'"{name}": ' + (json.dumps(value) if name not in ("splits", "joins") else
                             "[\n" + ",\n".join(json.dumps(v, separators=(",", ":"))
                                                for v in value) + "\n]")
            for name, value in content.items()) + "\n}\n")
    print(len(splits), "texts,", len(joins), "joins")


if __name__ == "__main__":
    main()
