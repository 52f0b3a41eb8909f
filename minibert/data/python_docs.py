"""Python's own documentation as a corpus, which needs no download.

Two sources, read as files without importing them: the language reference (`pydoc_data/topics.py`, a
document for each topic) and the docstrings of the standard library (a document for each module).
Prose is kept; code, grammar, tables and doctests are dropped. The text differs between versions of
Python.
"""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from minibert.data.sentence_splitter import split_paragraphs, split_sentences, without_repeats
from minibert.errors import InputError

# Tests, vendored packages and programs: their docstrings are not about the library.
LEFT_OUT = frozenset("test tests idlelib lib2to3 turtledemo ensurepip site-packages dist-packages "
                     "lib-dynload __pycache__ pydoc_data encodings".split())
SHORTEST, LONGEST = 4, 50  # words of a sentence

_ITEM = re.compile(r"^\s*(?:[*\-•]|\d+[.)]|\[\d+\])\s+", re.MULTILINE)
_VERSION_NOTE = re.compile(
    r"^(?:New|Added|Changed|Deprecated|Removed)\b[^:.]{0,40}version [\d.]+\w*:?\s*")
_MARKUP = re.compile(r"``?|\*\*?(?=\w)|(?<=\w)\*\*?|:\w+:(?=`)|(?<=\w)_(?=\W)|\[\d+\]")
_CODE = re.compile(r"""[=<>{}|\\#@$^~+*/_%&;]|\.\.\.|\w\.\w|\w\(|\(\)|--|[,(]\s*[,)]""")
_WORD = re.compile(r"""["'“‘(\[]*[^\W\d_]+(?:['’-][^\W\d_]+)*["'”’)\]]*[,:.!?]?["'”’)]*""")


def python_documents(folder: Path | None = None) -> list[list[str]]:
    """Read the documents, each a list of sentences; a sentence that is repeated is dropped.

    folder: the standard library (None: that of the running Python). Errors: no pydoc_data in it.
    """
    folder = Path(sysconfig.get_paths()["stdlib"]) if folder is None else folder
    texts = [*_topics(folder), *_module_docstrings(folder)]
    return list(without_repeats(list(prose(text)) for text in texts))


def prose(text: str) -> Iterator[str]:
    """Yield the sentences of a documentation text that are plain English (see is_prose)."""
    for block in split_paragraphs(text):
        if "::=" in block or ">>>" in block:
            continue
        for item in _ITEM.split(block):
            for sentence in split_sentences(item):
                sentence = _MARKUP.sub("", _VERSION_NOTE.sub("", sentence)).strip()
                if is_prose(sentence):
                    yield sentence


def is_prose(sentence: str) -> bool:
    """True if a text begins and ends like a sentence, has 4 to 50 words and no code in it."""
    words = sentence.split()
    if not SHORTEST <= len(words) <= LONGEST or sentence[-1] not in ".!?":
        return False
    if not sentence.lstrip("\"'“(")[:1].isupper() or _CODE.search(sentence.replace("e.g.", "eg")):
        return False
    return sum(bool(_WORD.fullmatch(word)) for word in words) >= 0.8 * len(words)


def _topics(folder: Path) -> list[str]:
    path = folder / "pydoc_data" / "topics.py"
    if not path.exists():
        raise InputError(f"{path}: not there: this Python was installed without its documentation "
                         "(some systems have it in an extra package, libpython3-stdlib or "
                         "python3-doc); use --corpus toy or --text FILE")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "topics":
            topics = ast.literal_eval(node.value)
            return [topics[name] for name in sorted(topics)]
    raise InputError(f"{path}: no dictionary named topics in it; use --corpus toy or --text FILE")


def _module_docstrings(folder: Path) -> Iterator[str]:
    """Yield a text for each module: its docstrings in the order of the source."""
    for path in _modules(folder):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):  # a template, or for another Python
            continue
        yield "\n\n".join(_docstrings(tree))


def _modules(folder: Path) -> Iterator[Path]:
    """Yield all modules below a folder, in alphabetical order, without those of LEFT_OUT."""
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT:
            continue
        if path.is_dir():
            yield from _modules(path)
        elif path.suffix == ".py":
            yield path


def _docstrings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        docstring = ast.get_docstring(node, clean=True)
        if docstring:
            yield docstring
        for child in node.body:
            yield from _docstrings(child)
