"""A checkpoint folder -> one quantized GGUF in the store. Decides first (names, shapes, sizes, disk), then writes.

Tensors pass through memory one at a time. What is being written carries another ending until it is whole.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from fclocal import paths
from fclocal.errors import DiskError, ModelMissing, Refused, UsageError
from fclocal.models import checkpoint
from fclocal.models.cache import PART
from fclocal.models.checkpoint import Config, Target, read_config
from fclocal.models.download import require_space
from fclocal.models.gguf_file import Entry, GgufFile, Planned, tokenizer_entries
from fclocal.models.progress import Phase, Progress, Report
from fclocal.models.safetensors_file import Array, read_tensors
from fclocal.models.sentencepiece import read_sentencepiece
from fclocal.models.store import Store, hash_file
from fclocal.models.tokenizer_json import read_tokenizer_json
from fclocal.models.vocabulary import Vocabulary, finished, read_companions
from fclocal.native.gguf import read_header
from fclocal.native.hyperparameters import hyperparameters
from fclocal.native.probe import measure
from fclocal.native.quantize import FLOATS, LABELS, check_label, quantize, quantized_size

_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a checkpoint comes from and how its model is spoken to: written into the GGUF, empty where unknown."""

    repo: str = ""
    licence: str = ""
    base: str = ""
    dialect: str = ""
    layout: str = ""
    stop: tuple[str, ...] = ()

    def entries(self) -> dict[str, Entry]:
        """The keys of the GGUF that hold it."""
        keys: dict[str, Entry] = {
            "general.source.huggingface.repository": self.repo,
            "general.license": self.licence,
            "general.base_model.0.name": self.base,
            "fclocal.dialect": self.dialect,
            "fclocal.layout": self.layout,
            "fclocal.stop": self.stop,
        }
        keys = {key: value for key, value in keys.items() if value}
        return keys | ({"general.base_model.count": 1} if self.base else {})


@dataclass(frozen=True, slots=True)
class ConvertPlan:
    """What an import would write: `target` is the final file, `stored` the type in which the weights come, `between`
    the bytes of the file that is quantized (0 when there is none), `notes` are for the user."""

    name: str
    quant: str
    target: Path
    stored: str
    metadata: Mapping[str, Entry]
    tensors: tuple[Target, ...]
    config: Config
    between: int
    notes: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(target.source.size // _width(target.source.dtype) for target in self.tensors)

    @property
    def written_as(self) -> str:
        """The type of the first file: the wanted one if it is a plain float, else the stored one."""
        return self.quant if self.quant in FLOATS else self.stored


def plan_conversion(
    folder: Path, store: Store, *, name: str, quant: str, pre: str = "", origin: Origin | None = None
) -> ConvertPlan:
    """Read and check everything in `folder` but the weights themselves.

    Raises UsageError for what cannot be converted (architecture, tokenizer, unknown quantization), Refused for pickles,
    ModelMissing for files that are not there and ModelBroken for those that contradict each other.
    """
    label = check_label(quant)
    config = read_config(folder)
    _refuse_pickles(folder)
    found = checkpoint.targets(config, read_tensors(folder))
    vocabulary = read_vocabulary(folder, config, pre=pre)
    stored = _widest(found)
    written = label if label in FLOATS else stored
    metadata: dict[str, Entry] = {"general.architecture": "llama", "general.type": "model", "general.name": name}
    metadata |= (origin or Origin()).entries()
    metadata |= checkpoint.metadata(config)
    metadata["general.file_type"] = LABELS[written]
    metadata |= tokenizer_entries(vocabulary)
    target = store.own_folder / name / f"{name}-{label}.gguf"
    between = 0 if label in FLOATS else sum(planned.size for planned in _planned(found, written))
    return ConvertPlan(name, label, target, stored, metadata, found, config, between, checkpoint.notes(config))


def convert(plan: ConvertPlan, store: Store, report: Report) -> Path:
    """Write the GGUF of `plan` and give its path, or leave nothing behind.

    llama.cpp has accepted the header, and the disk has room for all that is to come, before the first weight is read.
    Raises DiskError, ModelBroken, and UsageError for a quantization that llama.cpp cannot make.
    """
    with _workplace(plan, store) as (first, last):
        file = GgufFile(first, plan.metadata, _header_tensors(plan))
        try:
            file.reserve()
            measure(first, context=256)
            final = 0 if plan.quant in FLOATS else quantized_size(first, plan.quant)
            require_space(plan.target.parent, file.size + final, what=plan.name)
            _write_weights(plan, file, report)
        finally:
            file.close()
        if plan.quant not in FLOATS:
            quantize(first, last, plan.quant, progress=_told(plan.target.name, "quantizing", report))
            first.unlink()
        ready = first if plan.quant in FLOATS else last
        hyperparameters(read_header(ready), name=plan.target.name)
        digest = hash_file(ready, progress=_told(plan.target.name, "checking", report))
        ready.replace(plan.target)
    store.mark_verified(plan.target, digest)
    return plan.target


def dry_size(plan: ConvertPlan, store: Store) -> int:
    """Bytes of the file that `convert` would write, by llama.cpp's own dry run, to within some kB. Raises like
    `convert`."""
    with _workplace(plan, store) as (first, _):
        file = GgufFile(first, plan.metadata, _header_tensors(plan))
        file.reserve()
        file.close()
        return file.size if plan.quant in FLOATS else quantized_size(first, plan.quant)


def read_vocabulary(folder: Path, config: Config, *, pre: str = "") -> Vocabulary:
    """The tokenizer of a checkpoint: of tokenizer.model, else of tokenizer.json, padded to the model's size.

    Raises ModelMissing when there is neither, ModelBroken, and UsageError for one that llama.cpp does not know.
    """
    sentencepiece, tokenizer = folder / "tokenizer.model", folder / "tokenizer.json"
    if sentencepiece.exists():
        vocabulary = read_sentencepiece(sentencepiece)
    elif tokenizer.exists():
        vocabulary = read_tokenizer_json(tokenizer, pre=pre)
    else:
        raise ModelMissing(f"{folder} holds no tokenizer.model or tokenizer.json.", "Download all of its files.")
    companions = read_companions(folder)
    return finished(
        replace(vocabulary, pre=pre or vocabulary.pre),
        companions,
        size=config.vocab_size,
        bos=config.bos_token_id,
        eos=config.eos_ids,
    )


def _header_tensors(plan: ConvertPlan) -> list[Planned]:
    planned = _planned(plan.tensors, plan.written_as)
    factors = checkpoint.rope_factors(plan.config)
    return [*planned, Planned("rope_freqs.weight", factors.shape, "F32")] if factors is not None else planned


def _planned(targets: tuple[Target, ...], dtype: str) -> list[Planned]:
    return [Planned(target.name, target.source.shape, "F32" if target.plain else dtype) for target in targets]


def _write_weights(plan: ConvertPlan, file: GgufFile, report: Report) -> None:
    done, name = 0, plan.target.name
    total = sum(target.source.size for target in plan.tensors)
    for target in plan.tensors:
        report(Progress(name, "converting", done, total))
        file.write(target.read(plan.written_as))
        done += target.source.size
    factors: Array | None = checkpoint.rope_factors(plan.config)
    if factors is not None:
        file.write(factors)
    report(Progress(name, "converting", total, total))


@contextmanager
def _workplace(plan: ConvertPlan, store: Store) -> Iterator[tuple[Path, Path]]:
    """Paths for the file to be converted to and the one to be quantized to; what is left of them is removed.

    One import of a name at a time; what a killed one left is removed first.
    """
    folder = plan.target.parent
    fresh = not folder.exists()
    paths.private_folder(store.own_folder)
    lock = FileLock(store.own_folder / f".{plan.name}.lock")
    try:
        with lock.acquire(timeout=0):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"*{PART}"):
                left.unlink()
            stem = folder / f"{plan.target.name}.{secrets.token_hex(4)}"
            first, last = Path(f"{stem}.1{PART}"), Path(f"{stem}.2{PART}")
            try:
                yield first, last
            finally:
                first.unlink(missing_ok=True)
                last.unlink(missing_ok=True)
                with suppress(OSError):
                    Path(lock.lock_file).unlink()
                if fresh:
                    with suppress(OSError):
                        folder.rmdir()
    except Timeout:
        raise UsageError(f"Another import of {plan.name} is running.", "Let it finish first.") from None
    except OSError as error:
        raise DiskError(
            f"{plan.target} cannot be written: {error.strerror or error}.", "Make room, or check the folder's owner."
        ) from None


def _refuse_pickles(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = [path.name for pattern in _PICKLES for path in sorted(folder.glob(pattern))]
    if pickles:
        raise Refused(
            f"{folder.name} holds its weights in {pickles[0]}, a Python pickle, which can run any program when it is "
            "read.",
            "Look for a version of it in safetensors.",
        )


def _widest(targets: tuple[Target, ...]) -> str:
    """The type that holds every matrix without loss; vectors are kept in F32 anyway."""
    kinds = {target.source.dtype for target in targets if not target.plain}
    if len(kinds) == 1:
        kind = kinds.pop()
        return kind if kind in FLOATS else "F32"
    return "F32"


def _told(name: str, phase: Phase, report: Report) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        report(Progress(name, phase, done, total))

    return tell


def _width(dtype: str) -> int:
    return {"F32": 4, "F16": 2, "BF16": 2}.get(dtype, 1)
