"""Which GGUF files belong together, which quantization they hold, and which one to take. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Final

from fclocal.errors import ModelMissing
from fclocal.native.ggml_types import FILE_TYPES
from fclocal.native.gguf import Header

PREFERRED: Final = "Q4_K_M"
MODERATE_BITS: Final = 9.0

_QUANT: Final = re.compile(
    r"(?<![a-z0-9])(?:UD-)?(?:I?Q\d(?:_\d|_K|_NL)?(?:_(?:XXS|XS|S|M|L|XL)|(?:_\d){2})?|TQ\d_\d|(?:MX|NV)FP4(?:_MOE)?|B?F16"
    r"|FP16|F32|FP32)(?![a-z0-9])",
    re.IGNORECASE,
)
_SHARD: Final = re.compile(r"-(\d{5})-of-(\d{5})$")
_NOT_MODELS: Final = ("mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-", "ggml-vocab")
_SPELLINGS: Final = {"FP16": "F16", "FP32": "F32", "MXFP4_MOE": "MXFP4"}
# Tensor types that llama.cpp's quantizer falls back to when a row is no multiple of 256.
_FALLBACKS: Final[Mapping[str, frozenset[str]]] = {
    "Q2_K": frozenset({"Q4_0", "IQ4_NL", "Q3_K"}),
    "Q3_K": frozenset({"IQ4_NL", "Q4_0"}),
    "Q4_K": frozenset({"Q5_0"}),
    "Q5_K": frozenset({"Q5_1"}),
    "Q6_K": frozenset({"Q8_0"}),
}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository; `size` in bytes. Large files have a `sha256`, small ones only git's `oid`."""

    name: str
    size: int
    sha256: str | None = None
    oid: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One model in one quantization: a file, or all its shards in order."""

    quant: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def name(self) -> str:
        """The file that is opened: the first shard stands for all."""
        return self.files[0].name


@dataclass(frozen=True, slots=True)
class Choice:
    """A variant and the reason it was taken, as the end of a sentence."""

    variant: Variant
    reason: str


def quant_of(name: str) -> str:
    """The quantization that a file name claims, upper case, or an empty string. The last match wins."""
    found = _QUANT.findall(PurePosixPath(name).name) or _QUANT.findall(name)
    label = found[-1].upper() if found else ""
    return _SPELLINGS.get(label, label)


def shard_of(name: str) -> tuple[str, int, int] | None:
    """(name without the shard number, number from 1, count) of a shard, or None."""
    stem = name.removesuffix(".gguf")
    match = _SHARD.search(stem)
    return (stem[: match.start()], int(match[1]), int(match[2])) if match else None


def is_model_file(name: str) -> bool:
    """Whether a file name is that of a model's weights: not a projector, an importance matrix or a bare vocabulary."""
    base = PurePosixPath(name).name.lower()
    return base.endswith(".gguf") and not any(mark in base for mark in _NOT_MODELS)


def variants(files: Iterable[RemoteFile]) -> tuple[Variant, ...]:
    """Group the model files; incomplete sets of shards are left out. Largest first."""
    groups: dict[tuple[str, int], list[RemoteFile]] = {}
    for file in files:
        if is_model_file(file.name):
            shard = shard_of(file.name)
            groups.setdefault((shard[0], shard[2]) if shard else (file.name, 0), []).append(file)
    found = []
    for (_, count), members in groups.items():
        members.sort(key=lambda file: file.name)
        if not count or len(members) == count:
            found.append(Variant(quant_of(members[0].name), tuple(members)))
    return tuple(sorted(found, key=lambda variant: (-variant.size, variant.name)))


def by_tag(found: Sequence[Variant], tag: str, *, where: str) -> Variant:
    """The variant that `tag` names: a file name, a label in any case, or its only ending.

    Raises ModelMissing, listing what there is in `where`.
    """
    wanted = tag.lower()
    exact = [variant for variant in found if wanted in (variant.quant.lower(), variant.name.lower())]
    near = [variant for variant in found if variant.quant.lower().removeprefix("ud-").startswith(wanted)]
    if exact:
        return exact[0]
    if len({variant.quant for variant in near}) == 1:
        return near[0]
    labels = {variant.quant or variant.name: None for variant in found}
    close = get_close_matches(tag.upper(), labels, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ModelMissing(f"{where} has no quantization {tag!r}.{hint}", f"It has: {', '.join(labels) or 'none'}.")


def choose(found: Sequence[Variant], *, fits: Callable[[Variant], bool]) -> Choice | None:
    """Q4_K_M when it is there and fits, else the largest moderate one that fits; None when nothing fits."""
    fitting = [variant for variant in found if fits(variant)]
    if not fitting:
        return None
    preferred = [variant for variant in fitting if variant.quant.removeprefix("UD-") == PREFERRED]
    if preferred:
        return Choice(preferred[0], "the usual balance of size and quality, and it fits")
    if len(found) == 1:
        return Choice(found[0], "the only one there is")
    moderate = [variant for variant in fitting if nominal_bits(variant.quant) <= MODERATE_BITS] or fitting[-1:]
    largest = max(moderate, key=lambda variant: variant.size)
    absent = all(variant.quant.removeprefix("UD-") != PREFERRED for variant in found)
    return Choice(largest, f"the largest that fits ({PREFERRED} {'is not offered' if absent else 'does not fit'})")


def nominal_bits(label: str) -> float:
    """About how many bits a weight has under `label`; 16 for an unknown one."""
    if label in ("F32",):
        return 32.0
    match = re.search(r"Q(\d)|FP(4)", label)
    return float(match[1] or match[2]) + 0.5 if match else 16.0


def bits_per_weight(header: Header) -> float:
    """Bits per weight over all tensors, 0 when there are none."""
    return header.weight_bytes * 8 / header.parameters if header.parameters else 0.0


def main_type(header: Header) -> str:
    """The tensor type that holds most of the weights, embeddings aside."""
    elements: dict[str, int] = {}
    for tensor in header.tensors:
        if len(tensor.shape) > 1 and tensor.name not in ("token_embd.weight", "output.weight"):
            elements[tensor.type_name] = elements.get(tensor.type_name, 0) + tensor.elements
    return max(elements, key=lambda name: elements[name]) if elements else ""


def true_quant(header: Header, name: str) -> str:
    """The label that describes the weights: the file's own type if its tensors bear it out, else their main type."""
    claimed = FILE_TYPES.get(int(header.number("general.file_type", -1)), "")
    for label in (quant_of(name), claimed):
        if label and not contradicts(label, header):
            return label
    return main_type(header) or quant_of(name)


def contradicts(label: str, header: Header) -> bool:
    """Whether the tensors cannot be what `label` says. Dynamic (UD-) and unknown labels contradict nothing."""
    main = main_type(header)
    base = _base_type(label)
    if not main or not base or label.startswith("UD-"):
        return False
    if main == base or main in _FALLBACKS.get(base, ()):
        return False
    # I-quant mixes choose among their own kind by tensor.
    return not (base.startswith("IQ") and main.startswith("IQ") and base[:3] == main[:3])


def wrong_label(header: Header, name: str) -> str | None:
    """A sentence when the label in the file name cannot be true, else None."""
    label = quant_of(name)
    if not contradicts(label, header):
        return None
    bits = bits_per_weight(header)
    return f"{name} is labelled {label}, but its weights are mostly {main_type(header)} ({bits:.2f} bits a weight)."


def size_contradicts(label: str, size: int, parameters: float) -> str | None:
    """A sentence when a file of `size` bytes cannot hold `parameters` weights as `label` says, else None."""
    bits = size * 8 / parameters if parameters else 0.0
    low = _floor_bits(label)
    # Mixes keep some tensors larger, the small kinds and the _L ones most; embeddings weigh more in small models.
    above = 1.5 if label.endswith("L") or low < 3 else 1.3
    if not bits or not low or low * 0.97 <= bits <= low * above + 0.1:
        return None
    return f"its label says {label}, but {size / 1e9:.2f} GB are {bits:.2f} bits a weight."


def _base_type(label: str) -> str:
    plain = label.removeprefix("UD-")
    match = re.fullmatch(r"(Q\d_K)(?:_\w+)?", plain)
    if match:
        return match[1]
    mixes = {"IQ3_M": "IQ3_S", "IQ3_XS": "IQ3_S", "IQ2_M": "IQ2_S"}
    return mixes.get(plain, plain)


def _floor_bits(label: str) -> float:
    floors = {
        "Q2_K": 2.625,
        "Q3_K": 3.4375,
        "Q4_K": 4.5,
        "Q5_K": 5.5,
        "Q6_K": 6.5625,
        "Q8_0": 8.5,
        "Q4_0": 4.5,
        "Q4_1": 5.0,
    }
    floors |= {"Q5_0": 5.5, "Q5_1": 6.0, "F16": 16.0, "BF16": 16.0, "F32": 32.0}
    return 0.0 if label.startswith("UD-") else floors.get(_base_type(label), 0.0)
