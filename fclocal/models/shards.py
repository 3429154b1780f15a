"""Models that are split over several GGUF files: their names and their joined header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fclocal.errors import ModelMissing
from fclocal.models.quants import shard_of
from fclocal.native.gguf import Header, read_header


def shard_paths(path: Path) -> tuple[Path, ...]:
    """Every file of the model that `path` opens, in order."""
    shard = shard_of(path.name)
    if shard is None:
        return (path,)
    stem, _, count = shard
    return tuple(path.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1))


def refuse_missing_shards(path: Path) -> None:
    """Raise ModelMissing when `path` is no first shard, or one of the others is not there."""
    shard = shard_of(path.name)
    if shard and shard[1] != 1:
        raise ModelMissing(f"{path.name} is part {shard[1]} of {shard[2]}.", f"Name {shard_paths(path)[0].name}.")
    absent = [part.name for part in shard_paths(path) if not part.exists()]
    if absent:
        raise ModelMissing(f"{path.name} lacks {len(absent)} of its parts: {absent[0]}.", "Download it again.")


def read_model(path: Path) -> Header:
    """The header of a whole model: the metadata of its first file with the tensors of all.

    Raises ModelMissing when a part is absent and ModelBroken when one is no whole GGUF file.
    """
    if path.exists():
        refuse_missing_shards(path)
    first, *others = (read_header(part) for part in shard_paths(path))
    if not others:
        return first
    tensors = first.tensors + tuple(tensor for other in others for tensor in other.tensors)
    return replace(first, tensors=tensors, file_size=first.file_size + sum(other.file_size for other in others))
