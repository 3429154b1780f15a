"""Read safetensors files tensor by tensor, bounded and checked. Knows the file format, not what the tensors are.

Format: the safetensors specification (eight bytes of length, a JSON header, the data without gaps). The safetensors
package is not used for reading because its numpy side has no BF16, which most checkpoints are stored in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from fclocal.errors import ModelBroken, ModelMissing
from fclocal.models.safe_names import check_file

MAX_HEADER: Final = 100 << 20
INDEX: Final = "model.safetensors.index.json"
# Elements that are converted at once: it bounds what a conversion needs beside the tensor itself.
_SLAB: Final = 8 << 20
# BF16 is read as its raw 16 bits.
_TYPES: Final[Mapping[str, str]] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_SIZES: Final[Mapping[str, int]] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "U16": 2, "U32": 4,
    "U64": 8, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip

Array = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]


class _Entry(BaseModel):
    dtype: str = Field(max_length=16)
    shape: tuple[int, ...] = Field(max_length=8)
    data_offsets: tuple[int, int]


class _Index(BaseModel):
    weight_map: dict[str, str]


_HEADER: Final = TypeAdapter(dict[str, _Entry])


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor as it lies in `path`: safetensors' name of its type, its shape, where its `size` bytes begin."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    offset: int
    size: int

    def read(self, wanted: str) -> Array:
        """The values as `wanted`: F32, F16, or BF16 as raw 16-bit words.

        Needs the memory of both forms at most. Raises ModelBroken for a file that ends early, for a type that is no
        plain float and for values that `wanted` cannot hold.
        """
        if self.dtype not in _TYPES:
            raise ModelBroken(
                f"The tensor {self.name} of {self.path.name} is stored as {self.dtype}.",
                "Only F32, F16 and BF16 are converted: use the checkpoint that is not quantized.",
            )
        with self.path.open("rb") as file:
            file.seek(self.offset)
            stored = np.fromfile(file, _TYPES[self.dtype], count=self.size // _SIZES[self.dtype])
        if stored.nbytes != self.size:
            raise ModelBroken(f"{self.path.name} ends within the tensor {self.name}.", "Download it again.")
        if self.dtype == wanted:
            return stored.reshape(self.shape)
        changed = np.empty(stored.shape, _TYPES[wanted])
        for start in range(0, stored.size, _SLAB):
            part = slice(start, start + _SLAB)
            changed[part] = _changed(stored[part], self.dtype, wanted)
            if wanted == "F16" and not np.isfinite(changed[part]).all() and np.isfinite(stored[part]).all():
                raise ModelBroken(f"The tensor {self.name} has values that F16 cannot hold.", "Try --quant BF16.")
        return changed.reshape(self.shape)


def read_tensors(folder: Path, *, single: str = "model.safetensors") -> dict[str, StoredTensor]:
    """Every tensor of a checkpoint folder: of the shards its index names, of `single`, or of its only safetensors file.

    Reads headers only. Raises ModelMissing when there are no weights or a shard is not there, and ModelBroken.
    """
    index = folder / INDEX
    if index.exists():
        return _indexed(folder, index)
    path = folder / single
    if not path.exists():
        found = sorted(folder.glob("*.safetensors"))
        if len(found) != 1:
            raise ModelMissing(
                f"{folder} holds {len(found) or 'no'} safetensors files and no {INDEX}.", f"One of {single} is needed."
            )
        path = found[0]
    return read_file(path)


def read_file(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file by name. Raises ModelMissing and ModelBroken."""
    try:
        with path.open("rb") as file:
            whole = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if whole < 10 or not 2 <= length <= min(MAX_HEADER, whole - 8):
                raise _broken(path, _impostor(path))
            text = file.read(length)
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        document = json.loads(text)
        document.pop("__metadata__", None)
        entries = _HEADER.validate_python(document)
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise _broken(path, "its header makes no sense") from None
    return {name: _tensor(path, name, entry, 8 + length, whole) for name, entry in entries.items()}


def _indexed(folder: Path, index: Path) -> dict[str, StoredTensor]:
    try:
        shards = _Index.model_validate_json(index.read_bytes()).weight_map
        names = sorted({check_file(name) for name in shards.values()})
    except (OSError, ValidationError, ValueError):
        raise _broken(index, "it makes no sense") from None
    tensors: dict[str, StoredTensor] = {}
    for name in names:
        path = folder / name
        if not path.exists():
            raise ModelMissing(f"{folder.name} lacks {name}, which its index names.", "Download all of its files.")
        tensors |= read_file(path)
    missing = next((name for name in shards if name not in tensors), None)
    if missing is not None:
        raise _broken(folder / shards[missing], f"it lacks the tensor {missing}")
    return tensors


def _tensor(path: Path, name: str, entry: _Entry, data: int, whole: int) -> StoredTensor:
    begin, end = entry.data_offsets
    if entry.dtype not in _SIZES:
        raise _broken(path, f"the tensor {name[:80]} is of the unknown type {entry.dtype}")
    count = 1
    for side in entry.shape:
        if side < 0:
            raise _broken(path, f"the tensor {name[:80]} has an impossible shape")
        count *= side
    if begin < 0 or end - begin != count * _SIZES[entry.dtype]:
        raise _broken(path, f"the place of {name[:80]} does not fit its shape {list(entry.shape)}")
    if data + end > whole:
        raise _broken(path, f"it ends before its tensor {name[:80]}")
    return StoredTensor(name, entry.dtype, entry.shape, path, data + begin, end - begin)


def _changed(values: Array, stored: str, wanted: str) -> Array:
    """One slab in another type; to BF16 by rounding to the nearest, ties to even."""
    floats = (values.astype(np.uint32) << 16).view(np.float32) if stored == "BF16" else values.astype(np.float32)
    if wanted != "BF16":
        with np.errstate(over="ignore"):
            return floats.astype(_TYPES[wanted])
    bits = floats.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(floats), quiet, rounded).astype(np.uint16)


def _impostor(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"version "):
        return "it is a Git LFS pointer, not the file it points to"
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return "it is a PyTorch pickle"
    return "it is no safetensors file, or its download never finished"


def _broken(path: Path, fault: str) -> ModelBroken:
    return ModelBroken(f"{path.name} cannot be used: {fault}.", "Download it again.")
