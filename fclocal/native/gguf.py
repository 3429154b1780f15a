"""Read GGUF headers, bounded in time and memory. Knows the file format, not what a model is.

Format: the GGUF specification in ggml's docs/gguf.md, versions 2 and 3. Long arrays (the vocabulary) are stepped over
by their lengths and read only when asked for. Whatever the bytes are, reading ends with a Header or with ModelBroken.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from fclocal.errors import ModelBroken, ModelMissing
from fclocal.native.ggml_types import TENSOR_TYPES

MAX_HEADER: Final = 64 << 20
MAX_KEPT: Final = 32 << 20
MAX_READ: Final = 128 << 20
MAX_TENSORS: Final = 20_000
MAX_ENTRIES: Final = 8_192
MAX_KEY: Final = 65_535
MAX_TEXT: Final = 4 << 20
MAX_TENSOR_NAME: Final = 63
KEPT_ELEMENTS: Final = 1024
_WINDOW: Final = 1 << 20
_LIMIT: Final = 1 << 62

_STRING: Final = 8
_ARRAY: Final = 9
_SCALARS: Final[Mapping[int, struct.Struct]] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
# First bytes of what people rename or download by mistake.
_IMPOSTORS: Final = (
    (b"<!do", "a web page"),
    (b"<htm", "a web page"),
    (b"<?xm", "an XML document"),
    (b"vers", "a Git LFS pointer, not the file it points to"),
    (b"PK\x03\x04", "a zip archive or a PyTorch checkpoint"),
    (b"tjgg", "a GGML file from before GGUF"),
    (b"fmgg", "a GGML file from before GGUF"),
    (b"lmgg", "a GGML file from before GGUF"),
    (b"\x00\x00\x00\x00", "empty space (a download that never finished)"),
)

Scalar: TypeAlias = "bool | int | float | str"
Read: TypeAlias = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class LongArray:
    """An array that was stepped over: element type (GGUF value type), number of elements, byte offset of the first."""

    kind: int
    count: int
    offset: int


Value: TypeAlias = "Scalar | tuple[Scalar, ...] | LongArray"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: `shape` fastest dimension first, `kind` a key of TENSOR_TYPES, `offset` into the data part, `size` in
    bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int

    @property
    def type_name(self) -> str:
        """Its quantization, for example Q4_K."""
        return TENSOR_TYPES[self.kind][0]

    @property
    def elements(self) -> int:
        """Number of weights."""
        count = 1
        for side in self.shape:
            count *= side
        return count


@dataclass(frozen=True, slots=True)
class Header:
    """A GGUF header. `data_offset` is where tensor data begins, `file_size` the whole file's size, both in bytes."""

    version: int
    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]
    data_offset: int
    file_size: int

    @property
    def architecture(self) -> str:
        """`general.architecture`, or an empty string."""
        return self.text("general.architecture")

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(tensor.elements for tensor in self.tensors)

    def text(self, key: str) -> str:
        """The string under `key`, or an empty string."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: float = 0) -> float:
        """The number under `key`; the largest one of an array (llama.cpp stores some facts per layer)."""
        value = self.metadata.get(key)
        if isinstance(value, tuple):
            return max((item for item in value if isinstance(item, int | float)), default=default)
        return value if isinstance(value, int | float) else default

    def length(self, key: str) -> int:
        """Number of elements of the array under `key`, 0 when there is none."""
        value = self.metadata.get(key)
        if isinstance(value, LongArray):
            return value.count
        return len(value) if isinstance(value, tuple) else 0


def read_header(path: Path) -> Header:
    """Read the header of the file at `path` and check that the file holds all its tensors.

    Raises ModelMissing when there is no such file and ModelBroken, naming the file and the fault, when it is not a
    whole GGUF file of version 2 or 3.
    """
    name = path.name
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = parse_header(partial(_read_at, file), file_size=size, name=name)
    except FileNotFoundError:
        raise ModelMissing(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise ModelBroken(f"{path} is a folder, not a model file.", "Name the .gguf file in it.") from None
    except OSError as error:
        raise ModelBroken(f"{path} cannot be read: {error.strerror or error}.") from None
    need = header.data_offset + max((tensor.offset + tensor.size for tensor in header.tensors), default=0)
    if header.tensors and need > size:
        raise ModelBroken(
            f"{name} is cut off: it has {size:,} bytes and its tensors need {need:,}.",
            "Download it again: fclocal verify, or fclocal pull.",
        )
    return header


def parse_header(read: Read, *, file_size: int, name: str) -> Header:
    """Parse a header through `read(offset, size)`, which gives at most `size` bytes, none only at the end.

    `file_size` is that of the whole file, `name` is used in errors. Memory stays under 64 MB and time is bounded for
    any input. Raises ModelBroken.
    """
    source = _Source(read, file_size, name)
    version = _version(source)
    tensors, entries = source.u64(), source.u64()
    if tensors > MAX_TENSORS or entries > MAX_ENTRIES:
        raise source.broken(f"claims {tensors:,} tensors and {entries:,} metadata entries")
    metadata: dict[str, Value] = {}
    for _ in range(entries):
        key = source.string(MAX_KEY)
        if not key or key in metadata:
            raise source.broken(f"has the metadata key {key[:60]!r} twice" if key else "has an empty metadata key")
        metadata[key] = _value(source, source.u32(), key)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise source.broken(f"has the impossible alignment {alignment!r}")
    infos = _tensors(source, tensors, alignment)
    data_offset = -(-source.at // alignment) * alignment
    return Header(version, metadata, infos, data_offset, file_size)


def read_array(path: Path, array: LongArray) -> tuple[Scalar, ...]:
    """Read an array that `read_header` stepped over. Raises ModelBroken when it needs more than 128 MB of memory."""
    with path.open("rb") as file:
        source = _Source(partial(_read_at, file), path.stat().st_size, path.name, limit=MAX_READ)
        source.at = array.offset
        return _elements(source, array.kind, array.count)


class _Source:
    """A window over the file that moves forward; `at` is the next byte to read, `limit` what values may take."""

    def __init__(self, read: Read, file_size: int, name: str, *, limit: int = MAX_KEPT) -> None:
        self.at = 0
        self._read = read
        self._size = min(file_size, MAX_HEADER)
        self._cut_by_limit = file_size > MAX_HEADER
        self._name = name
        self._window = b""
        self._start = 0
        self._left = limit

    def broken(self, fault: str) -> ModelBroken:
        return ModelBroken(f"{self._name} is not a usable GGUF file: it {fault}.", "Download it again.")

    def u32(self) -> int:
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        return int(_U64.unpack(self.take(8))[0])

    def string(self, longest: int) -> str:
        size = self.u64()
        if size > longest:
            raise self.broken(f"has a text of {size:,} bytes at byte {self.at:,}")
        self.keep(4 * size + 80)
        return self.take(size).decode("utf-8", "replace")

    def keep(self, size: int) -> None:
        """Count `size` bytes of Python memory for values; raises when the header wants too much."""
        self._left -= size
        if self._left < 0:
            raise self.broken("wants too much memory for its metadata")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        begin = self.at - self._start
        if begin < 0 or begin + size > len(self._window):
            self._fill(size)
            begin = 0
        self.at += size
        return self._window[begin : begin + size]

    def skip(self, size: int) -> None:
        if size > self._size - self.at:
            raise self._ended(size)
        self.at += size

    def skip_strings(self, count: int) -> None:
        """Step over `count` strings: a loop over bare integers, since a vocabulary has 150,000 and as many merges."""
        if count * 8 > self._size - self.at:
            raise self._ended(count * 8)
        unpack = _U64.unpack_from
        left = count
        while left:
            self._fill(8)
            window = self._window
            at, last = 0, len(window) - 8
            while left and at <= last:
                at += 8 + unpack(window, at)[0]
                left -= 1
            self.skip(at)

    def _fill(self, size: int) -> None:
        if size > self._size - self.at:
            raise self._ended(size)
        if self.at - self._start == 0 and size <= len(self._window):
            return
        window = self._read(self.at, min(max(size, _WINDOW), self._size - self.at))
        while len(window) < size:
            more = self._read(self.at + len(window), size - len(window))
            if not more:
                raise self._ended(size)
            window += more
        self._window, self._start = window, self.at

    def _ended(self, size: int) -> ModelBroken:
        if self._cut_by_limit:
            return self.broken(f"has a header of more than {MAX_HEADER >> 20} MB")
        if size > _LIMIT:
            return self.broken(f"has an impossible length at byte {self.at:,}")
        return self.broken(f"ends inside its header (at byte {self.at:,} of {self._size:,})")


def _version(source: _Source) -> int:
    if source._size < 24:
        raise source.broken(f"has only {source._size} bytes")
    magic = source.take(4)
    if magic != b"GGUF":
        what = next((what for mark, what in _IMPOSTORS if magic.lower() == mark.lower()), "something else")
        raise source.broken(f"is {what} (it begins with {magic!r})")
    version = source.u32()
    if version == 1:
        raise source.broken("is GGUF version 1 (August 2023), which llama.cpp no longer reads")
    if version not in (2, 3):
        if version & 0xFFFF == 0 and version:
            raise source.broken("was written for a big-endian machine")
        raise source.broken(f"is GGUF version {version}; 2 and 3 are known")
    return version


def _value(source: _Source, kind: int, key: str) -> Value:
    if kind == _STRING:
        return source.string(MAX_TEXT)
    if kind != _ARRAY:
        return _scalar(source, kind, key)
    element, count = source.u32(), source.u64()
    if element == _ARRAY:
        raise source.broken(f"nests arrays under {key[:60]!r}")
    if element != _STRING and element not in _SCALARS:
        raise source.broken(f"has values of unknown type {element} under {key[:60]!r}")
    if count <= KEPT_ELEMENTS:
        return _elements(source, element, count)
    offset = source.at
    if element == _STRING:
        source.skip_strings(count)
    else:
        source.skip(count * _SCALARS[element].size)
    return LongArray(element, count, offset)


def _scalar(source: _Source, kind: int, key: str) -> Scalar:
    layout = _SCALARS.get(kind)
    if layout is None:
        raise source.broken(f"has a value of unknown type {kind} under {key[:60]!r}")
    value: Scalar = layout.unpack(source.take(layout.size))[0]
    return value


def _elements(source: _Source, kind: int, count: int) -> tuple[Scalar, ...]:
    if kind == _STRING:
        return tuple(source.string(MAX_TEXT) for _ in range(count))
    layout = _SCALARS[kind]
    source.keep(count * 32)
    values: tuple[Scalar, ...] = struct.unpack(f"<{count}{layout.format[-1]}", source.take(count * layout.size))
    return values


def _tensors(source: _Source, count: int, alignment: int) -> tuple[Tensor, ...]:
    """Tensor infos. Their data must be contiguous, padded to `alignment`, as llama.cpp demands."""
    tensors: dict[str, Tensor] = {}
    expected = 0
    for _ in range(count):
        name = source.string(MAX_TENSOR_NAME)
        if name in tensors:
            raise source.broken(f"has two tensors named {name!r}")
        tensor = _tensor(source, name)
        if tensor.offset != expected:
            raise source.broken(f"places tensor {name!r} at byte {tensor.offset:,} of its data instead of {expected:,}")
        expected += -(-tensor.size // alignment) * alignment
        if expected > _LIMIT:
            raise source.broken("claims more tensor data than any file holds")
        tensors[name] = tensor
    return tuple(tensors.values())


def _tensor(source: _Source, name: str) -> Tensor:
    dimensions = source.u32()
    if not 0 < dimensions <= 4:
        raise source.broken(f"gives tensor {name!r} {dimensions} dimensions")
    shape = tuple(source.u64() for _ in range(dimensions))
    kind, offset = source.u32(), source.u64()
    if kind not in TENSOR_TYPES:
        raise source.broken(f"stores tensor {name!r} in type {kind}, which is not known")
    label, block, block_bytes = TENSOR_TYPES[kind]
    elements = 1
    for side in shape:
        elements *= side
        if not 0 < side < _LIMIT or elements > _LIMIT:
            raise source.broken(f"gives tensor {name!r} the impossible shape {shape}")
    if shape[0] % block:
        raise source.broken(f"gives tensor {name!r} rows of {shape[0]}, no multiple of {block} as {label} needs")
    return Tensor(name, shape, kind, offset, elements // block * block_bytes)


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
