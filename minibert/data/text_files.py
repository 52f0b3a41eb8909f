"""Text files of a user: which there are in a folder, their encoding, their line ends.

Line ends are \\n, \\r\\n and \\r, and the \\r\\r\\n that a program writes that translates line ends
twice, also mixed in one file. Other separators of Unicode (U+2028, U+0085, form feed) are
characters of a line.
"""

import codecs
import os
from collections.abc import Sequence
from pathlib import Path

from minibert.atomic_files import read_bytes
from minibert.errors import InputError

SUFFIXES = (".txt", ".md", ".rst")

# What a file begins with that is no plain text in UTF-8. UTF-32's mark begins with UTF-16's.
_SIGNATURES = ((codecs.BOM_UTF32_LE, "text in UTF-32"), (codecs.BOM_UTF32_BE, "text in UTF-32"),
               (codecs.BOM_UTF16_LE, "text in UTF-16"), (codecs.BOM_UTF16_BE, "text in UTF-16"),
               (b"PK\x03\x04", "a zip archive, such as .docx and .xlsx"),
               (b"\x1f\x8b", "a file that is compressed with gzip"), (b"%PDF", "a PDF"),
               (b"PAR1", "a Parquet file"), (b"ARROW1", "an Arrow file"))
_EAST_ASIAN = ("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr")
_SAMPLE = 100_000  # bytes that are looked at to name an encoding


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """List the files that are named, and for each folder the text files in it and below, in
    alphabetical order; without the vocabulary in a model's folder (a run may lie below the texts).

    Errors: a path that does not exist, a folder without text files, one that cannot be read.
    """
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(_text_files(path))
            if not found:
                raise InputError(f"{path}: no {', '.join(SUFFIXES)} files in this folder; name the "
                                 "files themselves")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path}: there is no such file or folder; check the path")
    return files


def _text_files(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: this folder cannot be read ({error.strerror}); make "
                         "it readable, or name the files themselves") from None

    return [Path(parent) / name for parent, _, names in os.walk(folder, onerror=refuse)
            if "config.json" not in names
            for name in names if Path(name).suffix.lower() in SUFFIXES]


def read_text(path: str | Path) -> str:
    """Read a text in UTF-8, without its byte-order mark; line ends stay as they are.

    Errors: no such file, no regular file, an empty one, a binary one, another encoding (named as
    far as its bytes show it).
    """
    content = read_bytes(path)
    kind = next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), None)
    if kind is None and b"\0" in content:
        kind = _wide_encoding(content[:_SAMPLE])
    if kind is not None:
        raise InputError(f"{path}: this looks like {kind}: save it as plain text in UTF-8")
    if b"\0" in content:
        raise InputError(f"{path}: a binary file (it has zero bytes); give a plain text file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = max(error.start - _SAMPLE // 2, 0)
        raise InputError(f"{path}: byte {error.start} (0x{content[error.start]:02x}) is not UTF-8: "
                         f"this looks like {_narrow_encoding(content[start:start + _SAMPLE])}: "
                         "save it as plain text in UTF-8") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty; give a file with text in it")
    return text


def split_lines(text: str) -> list[str]:
    """Split a text at the line ends of the module's docstring, which are left off."""
    for end in ("\r\r\n", "\r\n", "\r"):
        text = text.replace(end, "\n")
    return text.split("\n")


def _wide_encoding(sample: bytes) -> str | None:
    """Name the encoding of text with zero bytes and without a byte-order mark, if it is text."""
    # Half of the bytes of Latin letters are zero; in others many bytes are no ASCII.
    if sum([byte == 0 or byte > 0x7f for byte in sample]) < len(sample) / 5:
        return None
    for encoding, size in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = sample[:len(sample) // size * size].decode(encoding, errors="replace")
        readable = sum([char.isprintable() or char.isspace() for char in text])
        if text and readable == len(text) and "\ufffd" not in text[:-1]:
            return f"text in {encoding[:6].upper()}"
    return None


def _narrow_encoding(sample: bytes) -> str:
    """Name the encoding of bytes that are no UTF-8, as far as they show it."""
    beyond_ascii = [char for char in sample.decode("utf-8", errors="replace") if char > "\x7f"]
    if beyond_ascii.count("\ufffd") < len(beyond_ascii) / 2:
        return "damaged UTF-8"
    bytes_beyond = sum([byte > 0x7f for byte in sample])
    runs = sum([here > 0x7f >= before for before, here in zip(b"\0" + sample, sample)])
    if bytes_beyond < 1.5 * runs and bytes_beyond < len(sample) / 2:  # accented letters
        return "Windows-1252 or ISO-8859-1"
    fitting = [name for name in _EAST_ASIAN if _decodes(sample, name)]
    if fitting:
        return " or ".join(name.upper().replace("_", "-") for name in fitting)
    return "an encoding of one byte a letter, such as Windows-1251 or KOI8-R"


def _decodes(sample: bytes, encoding: str) -> bool:
    """True if the bytes are text in the encoding; the last character of a sample may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True
