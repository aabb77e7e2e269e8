"""The container of a model: a description in JSON and tensors, as a safetensors file.

The description is the one entry of the file's metadata. It begins with a checksum of the whole
file, of which its own digits count as zeros. The checksum finds accidents; it is no signature.
"""

from __future__ import annotations

import io
import json
import mmap as memory_map
import os
import stat
import sys
import zlib
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.files.atomic import is_stream, replace_file
from fastbp.files.errors import ModelFileError, refusing

FORMAT = 1
ENTRY = "fastbp"  # of the metadata
NO_DIGITS = "00000000"
START = b'{"__metadata__":{"fastbp":"{\\"crc32\\":\\"'  # of the header
DIGITS = slice(8 + len(START), 8 + len(START) + len(NO_DIGITS))
MOST_HEADER = 100_000_000  # bytes, as the package safetensors allows
TRIES = 100  # to open a file that others replace
MOST_VALUES = 2_000_000  # in a header: JSON takes a hundred times the bytes of an empty list
DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}

Source: TypeAlias = str | os.PathLike[str] | BinaryIO
Tensors: TypeAlias = dict[str, NDArray[Any]]
Specs: TypeAlias = list[tuple[str, str, list[int]]]  # names, dtypes and shapes, by their bytes


class Contents(NamedTuple):
    """What a model file holds.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    description : dict
        As JSON has it.
    tensors : dict of str to ndarray
        Views of the bytes that were read, or mapped. They can be written; the file stays as it is.
    """

    name: str
    description: dict[str, Any]
    tensors: Tensors


class Opened(NamedTuple):
    """An open file whose header is sound; or, without specs, a pipe that is still to be read."""

    name: str
    file: BinaryIO
    head: bytes
    text: str | None  # the description
    specs: Specs | None


def version() -> str:
    """The version of fastbp."""
    text: str = vars(sys.modules["fastbp"])["__version__"]  # the package imports its rooms
    return text


# ---- writing


def write(target: Source, description: Mapping[str, Any], tensors: Tensors) -> None:
    """Write a model file.

    A file of that path is replaced in one step, or stays if anything fails.

    Parameters
    ----------
    target : str, PathLike or binary file object
    description : dict
        Values of JSON.
    tensors : dict of str to ndarray
        Of the dtypes in DTYPES.
    """
    if not isinstance(target, str | os.PathLike) and not hasattr(target, "write"):
        raise TypeError(f"path must be a path or a binary file object, got {type(target).__name__}")
    head = {"crc32": NO_DIGITS, "format": FORMAT, "fastbp": version(), "numpy": np.__version__}
    text = json.dumps({**head, **description}, allow_nan=False, separators=(",", ":"))
    # The package wants arrays in C order, and does not check it.
    tensors = {name: _plain(array) for name, array in tensors.items()}
    if isinstance(target, str | os.PathLike) and is_stream(target):
        with open(target, "wb") as file:
            file.write(_serialized(text, tensors))
    elif isinstance(target, str | os.PathLike):
        replace_file(target, lambda path: _write_file(path, text, tensors))
    else:
        _write_all(target, _serialized(text, tensors))


def _write_all(file: Any, data: bytes) -> None:
    """Write bytes to a file object; one without a buffer may take a part of them at a time."""
    if not isinstance(file, io.RawIOBase):
        file.write(data)
        return
    rest = memoryview(data)
    while len(rest):
        n_written = file.write(rest)
        if n_written is None:
            raise BlockingIOError("the file object takes no bytes now: the model was not saved")
        rest = rest[n_written:]


def _write_file(path: str, text: str, tensors: Tensors) -> None:
    """Write a file, from the arrays where they lie, and then the digits of its checksum."""
    from safetensors import SafetensorError  # imported late: most programs save nothing
    from safetensors.numpy import save_file

    try:
        save_file(tensors, path, {ENTRY: text})
    except SafetensorError as error:  # a full disk
        raise OSError(str(error)) from None
    with open(path, "rb+") as file:
        first = file.read(8)
        head = file.read(int.from_bytes(first, "little"))
        _check_written(head)
        table = json.loads(head)
        del table["__metadata__"]
        names = sorted(table, key=lambda name: table[name]["data_offsets"])
        pieces = [tensors[name].reshape(-1).view(np.uint8) for name in names]
        file.seek(DIGITS.start)
        file.write(_digits([first, head, *pieces]))


def _serialized(text: str, tensors: Tensors) -> bytes:
    """The bytes of a file."""
    from safetensors.numpy import save

    data = bytearray(save(tensors, {ENTRY: text}))
    _check_written(data[8 : 8 + int.from_bytes(data[:8], "little")])
    data[DIGITS] = _digits([data])
    return bytes(data)


def _check_written(head: bytes | bytearray) -> None:
    """Raise an error unless `read` takes this header."""
    if not head.startswith(START):
        raise RuntimeError("the package safetensors has written another header than is expected")
    try:
        _check_header(head)
    except ValueError as error:
        raise ValueError(f"the model is too large for a model file: {error}") from None


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array in C order and the byte order of this machine, as an ndarray."""
    plain = np.asarray(array, array.dtype.newbyteorder("="))
    return np.ascontiguousarray(plain).reshape(plain.shape)  # the former makes one dimension of 0


def _checksum(data: memoryview) -> bytes:
    """The checksum of a whole file, whatever its own digits are."""
    return _digits([data[: DIGITS.start], NO_DIGITS.encode(), data[DIGITS.stop :]])


def _digits(pieces: Sequence[Any]) -> bytes:
    """The eight digits of the CRC-32 of bytes."""
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return b"%08x" % crc


# ---- reading


def read(source: Source, *, mmap: bool = False) -> Contents:
    """Read a model file, after all checks of its bytes.

    Parameters
    ----------
    source : str, PathLike or binary file object
        Of a file object the rest is read.
    mmap : bool, default=False
        Whether to map the file into memory. Several processes then share what none has written.

    Raises
    ------
    ModelFileError
        If it is no sound model file.
    OSError
        If there is no such file, or it cannot be read.
    """
    if not isinstance(source, str | os.PathLike):
        return _read_stream(source, mmap)
    name, file, head, text, specs = _opened(source)
    if specs is None:
        with file:
            return _read_stream(file, mmap)
    with file, refusing(name):
        data: Any = _mapped(file) if mmap else _bytes_of(file)
        if memoryview(data)[8 : 8 + len(head)] != head:
            raise ValueError("the file was changed while it was read")
        description = _checked(text, memoryview(data))
        return Contents(name, description, _views(data, specs))


def read_description(source: Source) -> tuple[dict[str, Any], dict[str, tuple[str, list[int]]]]:
    """The description, and dtype and shape of each tensor, from the header alone.

    What follows the header is not read, so the checksum is not looked at.
    """
    if isinstance(source, str | os.PathLike):
        name, file, _, text, specs = _opened(source)
        with file, refusing(name):
            if specs is not None:
                return _described(text), {key: (dtype, shape) for key, dtype, shape in specs}
            contents = _read_stream(file, False)
    else:
        contents = _read_stream(source, False)
    names = {np.dtype(code): name for name, code in DTYPES.items()}
    tensors = contents.tensors.items()
    return contents.description, {
        key: (names[array.dtype], list(array.shape)) for key, array in tensors
    }


def _opened(source: str | os.PathLike[str]) -> Opened:
    """An open file of this path, after a look at its header if it is a regular file."""
    name = os.fsdecode(source)
    for _ in range(TRIES):
        file = open(name, "rb")  # the caller closes it
        try:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return Opened(name, file, b"", None, None)
            with refusing(name):
                head = _read_header(file, status.st_size)
            text, specs = _ask_package(name)
            if os.path.samestat(os.stat(name), status):  # the package opens the path by itself
                return Opened(name, file, head, text, specs)
        except BaseException:
            file.close()
            raise
        file.close()
    raise ModelFileError(f"{name}: other files have taken its place while it was read")


def _read_stream(file: Any, mmap: bool) -> Contents:
    """The contents of the rest of a binary file object."""
    name = str(getattr(file, "name", type(file).__name__))
    if not hasattr(file, "read"):
        raise TypeError(f"path must be a path or a binary file object, got {type(file).__name__}")
    if mmap:
        raise ValueError(f"mmap=True needs the path of a regular file, got {name}")
    data = file.read()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"path must be a path or a binary file object, but {name} has text")
    data = bytes(data)
    from safetensors import SafetensorError, deserialize

    with refusing(name):
        head = _read_header(io.BytesIO(data), len(data))
        try:
            found = deserialize(data)
        except SafetensorError as error:
            raise ModelFileError(f"{name}: no sound safetensors file: {error}") from None
        text = json.loads(head, object_pairs_hook=_unique).get("__metadata__", {}).get(ENTRY)
        description = _checked(text, memoryview(data))
        tensors = {
            key: np.frombuffer(one["data"], _dtype(key, one["dtype"])).reshape(one["shape"])
            for key, one in found
        }
    return Contents(name, description, tensors)


def _read_header(file: Any, size: int) -> bytes:
    """The header, read after its length was compared with the size of the file."""
    first = file.read(8)
    length = int.from_bytes(first, "little")
    if len(first) < 8 or not 2 <= length <= size - 8:
        raise ValueError("no safetensors file, or one that was cut off")
    if length > MOST_HEADER:
        raise ValueError(f"the header has {length} bytes, more than {MOST_HEADER}")
    head: bytes = file.read(length)
    _check_header(head)
    return head


def _check_header(head: bytes | bytearray) -> None:
    """Raise ValueError if the header has so many values that they would fill the memory."""
    n_values = sum(map(head.count, (b",", b"[", b"{")))
    if n_values > MOST_VALUES or len(head) > MOST_HEADER:
        raise ValueError(
            f"the header has {len(head)} bytes and {n_values} values, more than {MOST_HEADER} and "
            f"{MOST_VALUES}"
        )


def _ask_package(name: str) -> tuple[str | None, Specs]:
    """The description as text, and the tensors, from a look of the package at the whole layout."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(name, framework="np") as found:
            metadata, specs = found.metadata() or {}, []
            for key in found.offset_keys():
                part = found.get_slice(key)
                specs.append((key, part.get_dtype(), list(part.get_shape())))
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{name}: no sound safetensors file: {error}") from None
    return metadata.get(ENTRY), specs


def _mapped(file: BinaryIO) -> memory_map.mmap:
    """The whole file, mapped; what is written to it stays in this process."""
    return memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_COPY)


def _bytes_of(file: Any) -> NDArray[np.uint8]:
    """The whole file, read."""
    size = os.fstat(file.fileno()).st_size
    data = np.empty(size, np.uint8)
    file.seek(0)
    if file.readinto(data) != size:
        raise ValueError("the file was cut off while it was read")
    return data


def _described(text: str | None) -> dict[str, Any]:
    """The description, after checks that need no other bytes."""
    if text is None:
        raise ValueError(
            "a safetensors file without fastbp's description, so perhaps weights that another "
            "program has saved"
        )
    description = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(description, dict):
        raise ValueError("the description is no object")
    number, writer = description.get("format"), description.get("fastbp")
    if type(number) is not int or number < 1 or not isinstance(writer, str):
        raise ValueError("the description has no format")
    if number > FORMAT:
        raise ValueError(
            f"written by fastbp {writer} in format {number}, but this is fastbp {version()}, which "
            f"reads formats up to {FORMAT}: install a newer version"
        )
    return description


def _checked(text: str | None, data: memoryview) -> dict[str, Any]:
    """The description, after a check of the whole file."""
    description = _described(text)
    if data[8 : DIGITS.start] != START or data[DIGITS] != _checksum(data):
        raise ValueError("damaged, or changed since it was written: the checksum differs")
    return description


def _views(data: Any, specs: Specs) -> Tensors:
    """The tensors in the bytes of a file; they follow each other without holes."""
    whole = np.frombuffer(data, np.uint8)
    first, tensors = 8 + int.from_bytes(whole[:8].tobytes(), "little"), {}
    for key, code, shape in specs:
        dtype = _dtype(key, code)
        stop = first + dtype.itemsize * prod(shape)
        tensors[key] = whole[first:stop].view(dtype).reshape(shape)
        first = stop
    if first != len(whole):
        raise ValueError("the tensors do not fill the file")
    return tensors


def _dtype(name: str, code: str) -> np.dtype[Any]:
    if code not in DTYPES:
        raise ValueError(f"the tensor {name!r} has a dtype that this fastbp does not know: {code}")
    return np.dtype(DTYPES[code])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object of the header")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
