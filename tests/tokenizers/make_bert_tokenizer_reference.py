"""Writes reference/bert_tokenizer.json: what Hugging Face's fast BertTokenizer does with nasty
texts.

    python tests/tokenizers/make_bert_tokenizer_reference.py  (needs transformers 5; tests do not)

The random texts are drawn from the code points that Unicode 3.2 had already, so that every Python
classes them alike; those which this Python and the reference class differently are left out, and
listed under "differently_classed".
"""

import json
import random
import unicodedata
from pathlib import Path

import tokenizers
import transformers
from tokenizers.normalizers import NFD, BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertTokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SETTINGS = [{}, {"do_lower_case": False}, {"strip_accents": False},
            {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}]
LETTERS = ([chr(c) for c in range(0x21, 0x7F)] + [chr(c) for c in range(0xA1, 0x180)]
           + list("αβγδεζηθικλμνξοπρστυφχψωςΣабвгдежзийклмнопрстуфхцчшщъыьэюяاليمصرहिन्दी"))
WORDS = ["play", "##ing", "##ed", "un", "##aff", "##able", "want", "runn", "##run", "the", "don",
         "do", "not", "hello", "world", "##world", "xx", "##xx", "xxxxxxxx", "##xxxxxxxx", "日",
         "本", "語", "中", "文", "豈", "i̇", "ss", "##ss", "caf", "##é", "cafe", "naive", "…", "—",
         "“", "”", "‘", "’", "、", "。", "¿", "«", "»", "①", "½", "€", "한", "ᄒ", "##ᅡ", "##ᆫ"]

HANDMADE = [
    "", " ", "\t\n\r ", "a", "Hello, World!", "unaffable", "UNWANTED,running", "he likes playing",
    "playing\tplayed\nplay\rthe", "a\u00a0b", "a\u2009b\u2028c\u2029d", "a\u3000b", "a\u1680b",
    "a\x0bb", "a\x0cb", "a\x85b", "a\x1cb\x1db", "a\x00b", "\x00", "a\ufffdb", "\ufffd", "a\u200bb",
    "a\u200db", "\ufeffhello", "soft\u00adhyphen", "a\u202eb", "a\ue000b", "\U000f0000a",
    "\U0010fffda", "café", "cafe\u0301", "CAFÉ", "naïve", "Ångström", "\u212bngstrom", "Ünïcödé",
    "İstanbul", "ISTANBUL", "ıI", "ΟΔΟΣ", "Σίσυφος", "ς Σ σ", "straße", "STRASSE", "ẞ", "ﬁne",
    "ﬀ", "Ǆ ǅ ǆ", "ŉ", "日本語", "a日b", "中文,中文", "日本 語", "日\u0301", "豈更", "\uf900x",
    "\u3400\u4dbf", "\u4dc0", "\U00020000a", "\U0002b820", "\U0002b919", "\U0002b920", "\U0002ceaf",
    "\U0002f800", "ひらがな カタカナ", "한국어", "\u1112\u1161\u11ab", "각", "हिन्दी", "مصر", "مِصْر",
    "שָׁלוֹם", "ไทย", "\u0e33", "Việt Nam", "ệ", "e\u0323\u0302", "e\u0302\u0323",
    "a\u0301\u0323\u0315", "\u0301a", "\u0344a", "\u0f73\u0345", "\u0345\u0f73", "\u1e69",
    "\u0345\U0001d165", "a \u0345\U0001d165b", "\u0345\U0001d165\u0301 a",
    "s\u0307\u0323", "a\u0488b", "x\u20dd", "\u0903", "\U0001d15e", "don't", "do n't", "I'm",
    "we've", "a.b.c", "...", "…", "--", "—", "a-b", "#hash ##ing", "##", "$5.00", "a+b=c", "<tag>",
    "x^y`z|~", "¿qué?", "«oui»", "“quoted”", "‘single’", "、。", "①½€", "100%", "3.14", "1,000",
    "e-mail@x.org",
    "[MASK]", "the [MASK] play", "[mask]", "[MASK]ing", "a[MASK]b", "[MASK][MASK]", "[MASK",
    "MASK]", "[[MASK]]", "[CLS] a [SEP] b [SEP]", "[PAD]", "[UNK]", "[SEP]\u0301", "e[SEP]\u0301",
    "[MASK]日",
    "x" * 99, "x" * 100, "x" * 101, "x" * 300, "é" * 100, "e\u0301" * 60, "x" * 50 + "\x00" * 60,
    "x" * 100 + ".", "日" * 120, ".".join("x" * 30), "😀", "a😀b", "👩\u200d👩\u200d👧", "🇫🇷", "☃\ufe0f",
    "\U0001f600\U0001f3fb", "𝐀𝐁𝐂", "Ⅷ", "²", "ª", "ᵃ", "a\u034fb", "a\u180eb", "a\u2060b", "\u2018",
]


def classes_of(char: str) -> str:
    """x removed, blank space, c set apart, p punctuation, m stripped as an accent, . none."""
    clean = BertNormalizer(True, False, False, False).normalize_str(char)
    if clean in ("", " "):
        return "x" if clean == "" else " "
    if BertNormalizer(False, True, False, False).normalize_str(char) != char:
        return "c"
    if len(BertPreTokenizer().pre_tokenize_str(f"a{char}b")) == 3:
        return "p"
    return "m" if BertNormalizer(False, False, True, False).normalize_str(char) == "" else "."


def class_by_python(char: str) -> str:
    category = unicodedata.category(char)
    if char in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
        return " "
    if char == "\ufffd" or category in ("Cc", "Cf", "Co"):
        return "x"
    ascii_mark = char < "\x80" and not char.isalnum()
    return "p" if ascii_mark or category[0] == "P" else "m" if category == "Mn" else "."


def combines_alike(char: str) -> bool:
    if not unicodedata.combining(char):
        return True
    return all(NFD().normalize_str(text) == unicodedata.normalize("NFD", text)
               for text in ("\u0345" + char, char + "\u0334"))


def strips_alike(char: str) -> bool:
    expected = "".join(c for c in unicodedata.normalize("NFD", char)
                       if unicodedata.category(c) != "Mn")
    lower = BertNormalizer(False, False, False, True).normalize_str(char)
    return (BertNormalizer(False, False, True, False).normalize_str(char) == expected
            and lower == char.lower())


def as_ranges(codes: list[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def random_text(rng: random.Random, by_category: dict[str, list[str]], marks: list[str],
                composed: list[str]) -> str:
    def char() -> str:
        r = rng.random()
        if r < 0.4:
            return rng.choice("abcxyzABC ..,'!?-# ")
        if r < 0.55:
            return rng.choice("\t\n\x0b\x00\x85\u00a0\u3000\u2028\ufffd\u200d\ufeff\u00ad")
        if r < 0.65:
            return rng.choice(marks)
        if r < 0.75:
            return rng.choice(composed)
        if r < 0.80:
            return rng.choice(["[MASK]", "[SEP]", "[UNK]", "[MAS", "K]", "日", "İ", "Σ", "ing"])
        return rng.choice(by_category[rng.choice(sorted(by_category))])

    return "".join(char() for _ in range(rng.randint(1, 16)))


def main() -> None:
    vocab = list(dict.fromkeys(
        [*SPECIALS, *LETTERS, *("##" + c for c in LETTERS if c.isalnum()), *WORDS]))
    codes = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    classes = {c: classes_of(chr(c)) for c in codes}
    differently = [c for c in codes if unicodedata.category(chr(c)) != "Cn" and (
        (classes[c] != "c" and classes[c] != class_by_python(chr(c)))
        or not combines_alike(chr(c)) or not strips_alike(chr(c)))]
    stable = [chr(c) for c in codes if unicodedata.ucd_3_2_0.category(chr(c)) != "Cn"]
    left_out = {chr(c) for c in differently}
    stable = [c for c in stable if c not in left_out]
    by_category: dict[str, list[str]] = {}
    for c in stable:
        by_category.setdefault(unicodedata.category(c), []).append(c)
    marks = [c for c in stable if unicodedata.combining(c)]
    composed = [c for c in stable if unicodedata.normalize("NFD", c) != c]

    references = [BertTokenizer(vocab={t: i for i, t in enumerate(vocab)}, **s) for s in SETTINGS]
    rng = random.Random(2018)
    texts = [(text, n) for text in HANDMADE for n in range(len(SETTINGS))]
    texts += [(random_text(rng, by_category, marks, composed), i % 4) for i in range(300)]
    splits = []
    for text, n in texts:
        row = references[n](text, return_offsets_mapping=True)
        splits.append([n, text, row["input_ids"], [list(o) for o in row["offset_mapping"]]])

    default = references[0]
    pairs = []
    for _ in range(80):
        first, second = (" ".join(rng.choices("the play unaffable played xx".split(),
                                              k=rng.randint(1, 9))) for _ in range(2))
        strategy = rng.choice(["longest_first", "only_first", "only_second"])
        arguments = {"truncation": strategy, "max_length": rng.randint(8, 24),
                     "padding": rng.choice([False, "max_length"])}
        if strategy != "longest_first":
            arguments |= {"stride": rng.randint(0, 2), "return_overflowing_tokens": True}
        try:
            row = dict(default(first, second, **arguments))
        except BaseException:  # the text that may be cut is too short, or the stride too long
            row = None
        pairs.append([first, second, arguments, row])

    joins = []
    for text, n in texts[::7]:
        ids = references[n](text)["input_ids"]
        joins.append([ids, default.decode(ids), default.decode(ids, skip_special_tokens=True),
                      default.decode(ids, clean_up_tokenization_spaces=True)])
    for words in ("do n ' t", "I ' m not", "we ' ve , ok ?", "a . b ! c", "it ' s", "' re"):
        ids = default.convert_tokens_to_ids(words.lower().split())
        joins.append([ids, default.decode(ids), default.decode(ids, skip_special_tokens=True),
                      default.decode(ids, clean_up_tokenization_spaces=True)])

    runs = [[c, classes[c]] for i, c in enumerate(codes)
            if i == 0 or classes[c] != classes[codes[i - 1]]]
    content = {
        "made_with": {"transformers": transformers.__version__,
                      "tokenizers": tokenizers.__version__,
                      "unicode of this Python": unicodedata.unidata_version},
        "settings": SETTINGS, "vocab": vocab, "class_runs": runs,
        "differently_classed": as_ranges(differently), "splits": splits, "pairs": pairs,
        "joins": joins,
    }
    path = Path(__file__).parent / "reference" / "bert_tokenizer.json"
    with path.open("w", encoding="ascii") as file:  # one line a case, so that changes can be read
        file.write("{\n" + ",\n".join(
            f'"{name}": ' + (json.dumps(value) if not isinstance(value, list) else
                             "[\n" + ",\n".join(json.dumps(v, separators=(",", ":"))
                                                for v in value) + "\n]")
            for name, value in content.items()) + "\n}\n")
    print(len(splits), "texts,", len(pairs), "pairs,", len(differently), "differently classed")


if __name__ == "__main__":
    main()
