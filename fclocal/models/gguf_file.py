"""Write GGUF files piece by piece: the header first, each tensor when its turn comes. Knows the format's keys for
tokenizers, no checkpoints.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import gguf
import numpy as np

from fclocal.models.safetensors_file import Array
from fclocal.models.vocabulary import Vocabulary

ALIGNMENT: Final = 32
_NUMPY: Final[Mapping[str, np.dtype[Any]]] = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(np.uint16),
}

Entry: TypeAlias = "bool | int | float | str | Sequence[str] | Sequence[int] | Sequence[float]"


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor to come: `shape` slowest dimension first, as numpy has it, `dtype` F32, F16 or BF16."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Its bytes."""
        return math.prod(self.shape) * _NUMPY[self.dtype].itemsize


class GgufFile:
    """A GGUF file that is being written to `path`. Tensors are written in the order in which they were planned."""

    def __init__(self, path: Path, metadata: Mapping[str, Entry], tensors: Iterable[Planned]) -> None:
        """Write the header. `metadata` must hold general.architecture."""
        self.path: Final = path
        planned = tuple(tensors)
        self._writer = gguf.GGUFWriter(path, str(metadata["general.architecture"]))
        try:
            for key, value in metadata.items():
                if key != "general.architecture":
                    _add(self._writer, key, value)
            for tensor in planned:
                raw = gguf.GGMLQuantizationType.BF16 if tensor.dtype == "BF16" else None
                self._writer.add_tensor_info(tensor.name, tensor.shape, _NUMPY[tensor.dtype], tensor.size, raw)
            self._writer.write_header_to_file()
            self._writer.write_kv_data_to_file()
            self._writer.write_ti_data_to_file()
        except BaseException:
            self._writer.close()
            raise
        start = path.stat().st_size if self._flush() else 0
        padded = sum(_aligned(tensor.size) for tensor in planned)
        self.size: Final = _aligned(start) + padded

    def reserve(self) -> None:
        """Give the file its final size before its tensors are there, so that what reads headers accepts it. Takes no
        space on the disks that know sparse files."""
        os.truncate(self.path, self.size)

    def write(self, values: Array) -> None:
        """Write the next tensor. Raises OSError."""
        self._writer.write_tensor_data(values)

    def close(self) -> None:
        """Finish the file; its bytes are on the disk afterwards. Raises OSError."""
        try:
            if self._flush():
                os.fsync(self._writer.fout[0].fileno())
        finally:
            self._writer.close()

    def _flush(self) -> bool:
        if not self._writer.fout:
            return False
        self._writer.fout[0].flush()
        return True


def tokenizer_entries(vocabulary: Vocabulary) -> dict[str, Entry]:
    """The `tokenizer.*` keys."""
    pieces = vocabulary.pieces
    entries: dict[str, Entry] = {"tokenizer.ggml.model": vocabulary.model, "tokenizer.ggml.pre": vocabulary.pre}
    entries["tokenizer.ggml.tokens"] = [piece.text for piece in pieces]
    entries["tokenizer.ggml.token_type"] = [int(piece.kind) for piece in pieces]
    if vocabulary.model == "llama":
        entries["tokenizer.ggml.scores"] = [float(piece.score) for piece in pieces]
    if vocabulary.merges:
        entries["tokenizer.ggml.merges"] = list(vocabulary.merges)
    entries |= {f"tokenizer.ggml.{name}_token_id": number for name, number in vocabulary.special.items()}
    entries["tokenizer.ggml.add_bos_token"] = vocabulary.add_bos
    entries["tokenizer.ggml.add_eos_token"] = vocabulary.add_eos
    if vocabulary.add_space_prefix is not None:
        entries["tokenizer.ggml.add_space_prefix"] = vocabulary.add_space_prefix
    if vocabulary.chat_template:
        entries["tokenizer.chat_template"] = vocabulary.chat_template
    return entries


def _add(writer: gguf.GGUFWriter, key: str, value: Entry) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
