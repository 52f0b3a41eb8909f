"""The safetensors format: reader and writer. An array is read from the disk when it is used.

A model lies in one file or, with an index {"weight_map": {name: file name}}, in several.

The format: 8 bytes with the length N of the header (little-endian), N bytes of JSON with the
dtype, shape and place of each name, then the numbers, little-endian, one array after another.
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from minibert.atomic_files import check_regular_file, read_json, replacing, shown
from minibert.errors import InputError

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1",
          "BOOL": "|b1", "BF16": "<u2"}  # NumPy has no BF16: it is read as float32
_NAMES = {np.dtype(code).newbyteorder("="): name for name, code in DTYPES.items() if name != "BF16"}
_LONGEST_HEADER = 100_000_000  # as in the reference reader
INDEX = "model.safetensors.index.json"


class SafetensorsFile(Mapping):
    """The arrays of a file by name. They are read-only views of the mapped file (BF16: float32
    copies), so that opening a large file costs nothing and each array is read when it is used."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        check_regular_file(self.path)
        with open(self.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            header, start = _read_header(self.path, file, size)
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.metadata = header.pop("__metadata__", {})
        if not isinstance(self.metadata, dict) \
                or not all(isinstance(value, str) for value in self.metadata.values()):
            raise InputError(f"{self.path}: __metadata__ must hold texts only")
        self._entries = {name: (dtype, shape, buffer, start + begin) for name, (dtype, shape, begin)
                         in _checked_entries(self.path, header, size - start).items()}
        self._buffers = [buffer]

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, buffer, begin = self._entries[name]
        array = np.frombuffer(buffer, DTYPES[dtype], math.prod(shape), begin)
        if dtype == "BF16":  # the upper half of a float32
            array = (array.astype("<u4") << 16).view("<f4")
        elif dtype == "BOOL" and array.view("u1").max(initial=0) > 1:
            raise InputError(f"{self.path}: {shown(name)}: a boolean is neither 0 nor 1")
        return array.reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def let_go(self) -> None:
        """Free the memory of all arrays that were read; the next use reads them again."""
        if hasattr(mmap, "MADV_DONTNEED"):  # elsewhere the system decides
            for buffer in self._buffers:
                buffer.madvise(mmap.MADV_DONTNEED)

    def dtype_name(self, name: str) -> str:
        """The dtype as the file calls it: "F32", "BF16"..."""
        return self._entries[name][0]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, which is not read."""
        return self._entries[name][1]


class ShardedFile(SafetensorsFile):
    """The arrays of all files that an index names, by name, as if they were in one file. Errors:
    InputError for an array that only the index or only a file has."""

    def __init__(self, index: str | os.PathLike):
        self.path = Path(index)
        names = read_json(self.path).get("weight_map")
        if not isinstance(names, dict) or not names:
            raise InputError(f"{self.path}: field weight_map: expected names with their files")
        self._entries, self._buffers, self.metadata = {}, [], {}
        for file_name in dict.fromkeys(map(self._checked, names.values())):
            path = self.path.parent / file_name
            if not path.is_file():
                raise InputError(f"{self.path}: names the file {shown(file_name)}, which is not in "
                                 "the folder: copy all files of the model")
            shard = SafetensorsFile(path)
            for name in shard:
                if names.get(name) != file_name:
                    raise InputError(f"{self.path}: weight_map: says nothing of {shown(name)} in "
                                     f"{shown(file_name)}")
            self._entries |= shard._entries
            self._buffers += shard._buffers
        for name, file_name in names.items():
            if name not in self._entries:
                raise InputError(f"{self.path}: weight_map: {shown(name)} is not in "
                                 f"{shown(file_name)}")

    def _checked(self, file_name: object) -> str:
        """A name in the folder itself: an index must not open files elsewhere."""
        if not isinstance(file_name, str) or not file_name.endswith(".safetensors") \
                or any(char in file_name for char in "/\\\0"):
            raise InputError(f"{self.path}: weight_map: {file_name!r:.60} is no name of a "
                             "safetensors file in this folder")
        return file_name


def load_file(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of the file by name, as SafetensorsFile gives them. A damaged file is an
    InputError that names the tensor at fault."""
    return dict(SafetensorsFile(path))


def save_file(tensors: Mapping[str, np.ndarray], path: str | os.PathLike,
              metadata: Mapping[str, str] | None = None) -> None:
    """Write the arrays; `path` is replaced when all is written, and untouched if that fails."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = dict(metadata)
    # The widest numbers first, so that every array is aligned; then by name.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    for name in names:
        array = tensors[name]
        dtype = _NAMES.get(array.dtype.newbyteorder("="))
        if dtype is None or name == "__metadata__":
            raise InputError(f"{path}: {shown(name)}: dtype {array.dtype} cannot be stored in "
                             "safetensors")
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            array = tensors[name]
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def _read_header(path: Path, file, size: int) -> tuple[dict, int]:
    """The parsed header, and where the numbers begin."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        raise InputError(f"{path}: this is no safetensors file, or it is truncated: a header of "
                         f"{length} bytes does not fit into {size} bytes")
    text = file.read(length)
    try:
        if not text.startswith(b"{"):
            raise ValueError("it does not begin with {")
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique), 8 + length
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the safetensors header is damaged: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict:
    seen: dict[str, object] = {}
    for name, value in pairs:
        if name in seen:
            raise ValueError(f"{name!r:.60} stands there twice")
        seen[name] = value
    return seen


def _checked_entries(path: Path, header: dict, size: int) -> dict[str, tuple[str, tuple, int]]:
    """name -> (dtype, shape, begin); the arrays must fill `size` bytes without hole or overlap."""
    entries, ends = {}, []
    for name, entry in header.items():
        dtype, shape, (begin, end) = _checked_entry(path, name, entry)
        expected = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
        if end - begin != expected:
            raise InputError(f"{path}: {shown(name)}: {dtype} of shape {shape} takes {expected} "
                             f"bytes, the file gives it {end - begin}")
        if end > size:
            raise InputError(f"{path}: {shown(name)} ends at byte {end} of {size}: the file is "
                             "truncated")
        entries[name] = (dtype, shape, begin)
        ends.append((begin, end, name))
    place = 0
    for begin, end, name in sorted(ends):
        if begin != place:
            what = "overlaps" if begin < place else "leaves a hole after"
            raise InputError(f"{path}: {shown(name)} begins at byte {begin} and {what} the array "
                             f"before it, which ends at {place}")
        place = end
    if place != size:
        raise InputError(f"{path}: {size - place} bytes at the end belong to no array")
    return entries


def _checked_entry(path: Path, name: str, entry: object) -> tuple[str, tuple[int, ...], list[int]]:
    where = f"{path}: {shown(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise InputError(f"{where}: expected dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise InputError(f"{where}: the dtype {dtype!r:.60} is unknown: expected one of "
                         f"{', '.join(DTYPES)}")
    for what, values in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(values, list) \
                or not all(type(value) is int and 0 <= value < 2**63 for value in values):
            raise InputError(f"{where}: {what} must be whole numbers from 0")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise InputError(f"{where}: data_offsets must be a begin and an end, got {offsets}")
    if len(shape) > 64:
        raise InputError(f"{where}: {len(shape)} axes are more than NumPy has")
    return dtype, tuple(shape), offsets
