"""The safetensors reader and writer: files made by hand, round trips, and everything damaged."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minibert.checkpoints.safetensors import SafetensorsFile, load_file, save_file
from minibert.errors import InputError

HEADER = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
          "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]}}
DATA = struct.pack("<2fq", 1.5, -2.0, -7)


def file_of(tmp_path, header=HEADER, data=DATA, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def changed(name, **changes):
    return {key: entry | changes if key == name else entry for key, entry in HEADER.items()}


def test_a_file_made_by_hand(tmp_path):
    arrays = load_file(file_of(tmp_path))
    np.testing.assert_array_equal(arrays["a"], np.array([1.5, -2.0], np.float32))
    assert arrays["a"].dtype == np.float32
    assert arrays["b"].shape == () and arrays["b"] == -7 and arrays["b"].dtype == np.int64


def test_the_bytes_of_a_written_file(tmp_path):
    path = tmp_path / "x.safetensors"
    tensors = {"b": np.array([1, 0, 1], bool), "a": np.array([[1.5], [2.5]])}
    save_file(tensors, path, {"format": "pt"})
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    assert length % 8 == 0
    assert json.loads(content[8:8 + length]) == {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F64", "shape": [2, 1], "data_offsets": [0, 16]},
        "b": {"dtype": "BOOL", "shape": [3], "data_offsets": [16, 19]}}
    assert content[8 + length:] == struct.pack("<2d3B", 1.5, 2.5, 1, 0, 1)
    assert SafetensorsFile(path).metadata == {"format": "pt"}


@given(st.dictionaries(st.text(max_size=5).filter("__metadata__".__ne__), hnp.arrays(
    st.sampled_from(["f8", "f4", "f2", "i8", "i4", "u1", "?", ">f4"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)), max_size=4),
    st.booleans())
def test_what_is_written_is_read(tmp_path_factory, tensors, transposed):
    path = tmp_path_factory.mktemp("round") / "x"
    if transposed:
        tensors = {name: array.T for name, array in tensors.items()}
    save_file(tensors, path)
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    for name, array in tensors.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.astype(loaded[name].dtype).tobytes()


def test_bf16_is_the_upper_half_of_a_float32(tmp_path):
    header = {"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    file = SafetensorsFile(file_of(tmp_path, header, bytes.fromhex("803f" "20c1" "0180")))
    np.testing.assert_array_equal(file["a"], np.array([1.0, -10.0, -(2.0**-133)], np.float32))
    assert file["a"].dtype == np.float32 and file.dtype_name("a") == "BF16"


def test_f16(tmp_path):
    header = {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    array = load_file(file_of(tmp_path, header, bytes.fromhex("003c" "00c1")))["a"]
    np.testing.assert_array_equal(array, np.array([1.0, -2.5], np.float16))


def test_what_was_let_go_is_read_again(tmp_path):
    path, array = tmp_path / "x", np.arange(1 << 20) * 3
    save_file({"a": array}, path)
    file = SafetensorsFile(path)
    view = file["a"]
    before = resident_pages()
    assert view.sum() == array.sum()
    grown = resident_pages() - before
    file.let_go()
    kept = resident_pages() - before
    assert grown == 0 or kept < grown / 2, "8 MB were read and are still held"
    np.testing.assert_array_equal(view, array)
    np.testing.assert_array_equal(file["a"], array)


def resident_pages() -> int:
    """Of this process; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) if statm.exists() else 0


def test_arrays_are_views_of_the_mapped_file(tmp_path):
    path = tmp_path / "x"
    save_file({"a": np.zeros(1000)}, path)
    file = SafetensorsFile(path)
    assert np.shares_memory(file["a"], file["a"]) and not file["a"].flags.writeable
    assert file.shape("a") == (1000,)


@pytest.mark.parametrize("message, header, data", [
    ("a: .*the file gives it 8", changed("a", shape=[3]), DATA),
    ("a: .*takes 16 bytes", changed("a", dtype="F64"), DATA),
    ("a: the dtype 'F8' is unknown", changed("a", dtype="F8"), DATA),
    ("a: the dtype 7 is unknown", changed("a", dtype=7), DATA),
    ("a: shape must be", changed("a", shape=[-2]), DATA),
    ("a: shape must be", changed("a", shape=[2.0]), DATA),
    ("a: shape must be", changed("a", shape=[True, 2]), DATA),
    ("a: shape must be", changed("a", shape=[2**64, 0]), DATA),
    ("a: shape must be", changed("a", shape="2"), DATA),
    ("a: 65 axes", changed("a", shape=[1] * 64 + [2]), DATA),
    ("a: data_offsets must be", changed("a", data_offsets=[-8, 0]), DATA),
    ("a: data_offsets must be", changed("a", data_offsets=[0]), DATA),
    ("a: data_offsets must be", changed("a", data_offsets=[8, 0]), DATA),
    ("b begins at byte 4 and overlaps", changed("b", data_offsets=[4, 12]), DATA[:12]),
    ("b begins at byte 12 and leaves a hole", changed("b", data_offsets=[12, 20]), DATA + b"1234"),
    ("a begins at byte 8 and leaves a hole", changed("a", data_offsets=[8, 16]), DATA),
    ("b ends at byte 16 of 15: the file is truncated", HEADER, DATA[:-1]),
    ("1 bytes at the end belong to no array", HEADER, DATA + b"1"),
    ("a: expected dtype, shape and data_offsets", HEADER | {"a": [1]}, DATA),
    ("a: expected dtype, shape and data_offsets", changed("a", more=1), DATA),
    (r"a.nb.: expected dtype", HEADER | {"a\nb": [1]}, DATA),
    ("__metadata__", HEADER | {"__metadata__": {"a": 1}}, DATA),
    ("__metadata__", HEADER | {"__metadata__": "a"}, DATA),
    ("header is damaged", b"{", DATA),
    ("header is damaged: .*begin with", b" {}", b""),
    ("header is damaged", b"[1]", DATA),
    ("header is damaged", b"{\"\xff\": 1}", DATA),
    ("header is damaged", b'{"a":' + b"[" * 100_000, DATA),
    ("'a' stands there twice", b'{"a": 1, "b": 1, "a": 2}', DATA),
])
def test_damage_is_named(tmp_path, message, header, data):
    path = file_of(tmp_path, header, data)
    with pytest.raises(InputError, match=message) as error:
        load_file(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"1234567", struct.pack("<Q", 1) * 1,
                                     struct.pack("<Q", 2**63) + b"{}", b"a text of a few words"])
def test_what_is_no_safetensors_file_is_called_so(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no safetensors file"):
        load_file(path)


def test_as_many_axes_as_numpy_has(tmp_path):
    path = file_of(tmp_path, changed("a", shape=[1] * 63 + [2]), DATA)
    assert load_file(path)["a"].ndim == 64


def test_a_boolean_is_zero_or_one(tmp_path):
    header = {"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}
    with pytest.raises(InputError, match="a: a boolean"):
        load_file(file_of(tmp_path, header, b"\x01\x02"))


@settings(max_examples=300)
@given(st.data())
def test_no_damage_gets_through_as_anything_but_our_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(file_of(folder).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "remove", "insert", "cut"]))
        if kind == "change":
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "remove":
            del content[place]
        elif kind == "insert":
            content.insert(place, data.draw(st.integers(0, 255)))
        elif place:
            del content[place:]
    path = folder / "x"
    path.write_bytes(content)
    try:
        arrays = load_file(path)
    except InputError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= 2 * len(content)  # BF16 grows


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x"
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(InputError, match="a: dtype complex128 cannot be stored"):
        save_file({"a": np.zeros(3, complex)}, path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_file({"a": np.ones(3)}, path)
    np.testing.assert_array_equal(load_file(path)["a"], np.zeros(3))
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(os.name != "posix", reason="only there files have such modes")
def test_a_written_file_may_be_read_by_others_as_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    save_file({"a": np.ones(2)}, tmp_path / "saved")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "saved")]
    assert modes[0] == modes[1]


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="x: there is no such file"):
        load_file(tmp_path / "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: this is a pipe or device"):
        load_file(tmp_path / "pipe")


def test_a_header_with_many_names_and_one_twice(tmp_path):
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    names = [f'"w{i}":{entry}' for i in range(20_000)]
    for extra, words in (([], None), ([f'"w7":{entry}'], "'w7' stands there twice")):
        header = ("{" + ",".join(names + extra) + "}").encode()
        (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header)
        if words is None:
            assert len(load_file(tmp_path / "x")) == 20_000
        else:
            with pytest.raises(InputError, match=words):
                load_file(tmp_path / "x")
