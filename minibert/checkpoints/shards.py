"""A model in several safetensors files, with an index: array -> file.

    model.safetensors.index.json: {"metadata": {...}, "weight_map": {name: file name, ...}}
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from minibert.atomic_files import read_json, shown
from minibert.checkpoints.safetensors import SafetensorsFile
from minibert.errors import InputError

INDEX = "model.safetensors.index.json"


class ShardedFile(Mapping):
    """The arrays of all files that an index names, by name, as if they were in one file.

    Errors: InputError for an array that only the index or only a file has.
    """

    def __init__(self, index: str | os.PathLike):
        self.path = Path(index)
        places = read_json(self.path).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise InputError(f"{self.path}: field weight_map: expected names with their files")
        self._shards = {}
        for file_name in dict.fromkeys(map(self._checked, places.values())):
            path = self.path.parent / file_name
            if not path.is_file():
                raise InputError(f"{self.path}: names the file {shown(file_name)}, which is not in "
                                 "the folder: copy all files of the model")
            self._shards[file_name] = SafetensorsFile(path)
        self._places = {name: self._shards[file_name] for name, file_name in places.items()}
        for name, shard in self._places.items():
            if name not in shard:
                raise InputError(f"{self.path}: weight_map: {shown(name)} is not in "
                                 f"{shown(shard.path.name)}")
        for shard in self._shards.values():
            for name in shard:
                if self._places.get(name) is not shard:
                    raise InputError(f"{self.path}: weight_map: says nothing of {shown(name)} in "
                                     f"{shown(shard.path.name)}")

    def _checked(self, file_name: object) -> str:
        """A name in the folder itself: an index must not open files elsewhere."""
        if not isinstance(file_name, str) or not file_name.endswith(".safetensors") \
                or any(char in file_name for char in "/\\\0"):
            raise InputError(f"{self.path}: weight_map: {file_name!r:.60} is no name of a "
                             "safetensors file in this folder")
        return file_name

    def __getitem__(self, name: str) -> np.ndarray:
        return self._places[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def let_go(self) -> None:
        """See SafetensorsFile."""
        for shard in self._shards.values():
            shard.let_go()

    def dtype_name(self, name: str) -> str:
        """The dtype as the file calls it: "F32", "BF16"..."""
        return self._places[name].dtype_name(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, which is not read."""
        return self._places[name].shape(name)
