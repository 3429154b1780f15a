"""A PEFT LoRA adapter -> a GGUF adapter for llama.cpp. Knows PEFT's files and its scaling rules.

llama.cpp scales every pair by alpha / rank with one alpha for all; whatever PEFT scales otherwise (rsLoRA, patterns) is
multiplied into B. Source: PEFT's LoraConfig and lora/layer.py.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias, TypeVar

import numpy as np
import re2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fclocal import paths
from fclocal.errors import DiskError, ModelBroken, ModelMissing, Refused, UsageError
from fclocal.models.adapter_files import adapters_folder
from fclocal.models.cache import PART
from fclocal.models.checkpoint import PROJECTIONS, Config, projection_shapes, regroup
from fclocal.models.download import require_space
from fclocal.models.gguf_file import Entry, GgufFile, Planned
from fclocal.models.progress import Progress, Report
from fclocal.models.safetensors_file import Array, StoredTensor, read_file
from fclocal.models.store import Store
from fclocal.native.gguf import Header, read_header

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_OTHER_BASE: Final = "Name the right one with --base."
_PART: Final = re.compile(
    r"(?:base_model\.model\.)?(?P<module>(?:model\.layers\.(?P<layer>\d+)\.(?P<projection>[a-z_.]+?))|lm_head|.+?)"
    r"\.lora_(?P<side>[AB])(?:\.\w+)?\.weight"
)
Number = TypeVar("Number", int, float)
_Scale: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class _Config(BaseModel):
    """adapter_config.json, as far as it matters here."""

    model_config = ConfigDict(extra="ignore")

    peft_type: str = "LORA"
    r: Annotated[int, Field(gt=0, le=1 << 16)]
    lora_alpha: _Scale
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    bias: str = "none"
    fan_in_fan_out: bool = False
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    alpha_pattern: dict[str, _Scale] = Field(default_factory=dict)
    modules_to_save: list[str] | None = None
    layer_replication: list[object] | None = None
    target_parameters: list[str] | None = None
    trainable_token_indices: object = None
    alora_invocation_tokens: list[int] | None = None
    base_model_name_or_path: str | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """What an adapter needs to know of the model it belongs to: (rows, columns, heads to regroup for) of each
    projection, layers, and the shape of the output (vocabulary, width)."""

    name: str
    shapes: Mapping[str, tuple[int, int, int]]
    layers: int
    output: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A and B of one module: `name` is the GGUF tensor they change, `heads` regroups the rows of B, `factor` goes into
    B, `turned` says whether A and B lie transposed in the file."""

    name: str
    a: StoredTensor
    b: StoredTensor
    rank: int
    heads: int
    factor: float
    turned: tuple[bool, bool]

    def read(self) -> tuple[Array, Array]:
        """A of shape (rank, columns) and B of shape (rows, rank), ready for llama.cpp, in F32."""
        a, b = self.a.read("F32"), self.b.read("F32")
        a, b = (a.T if self.turned[0] else a), (b.T if self.turned[1] else b)
        scaled = np.ascontiguousarray(b * np.float32(self.factor), np.float32)
        return np.ascontiguousarray(a, np.float32), regroup(scaled, self.heads) if self.heads else scaled


@dataclass(frozen=True, slots=True)
class AdapterPlan:
    """What an import would write. `size` in bytes, without the header."""

    name: str
    target: Path
    alpha: float
    pairs: tuple[Pair, ...]
    base: str
    repo: str = ""

    @property
    def size(self) -> int:
        """Bytes of all pairs in F32."""
        return sum(4 * (math.prod(pair.a.shape) + math.prod(pair.b.shape)) for pair in self.pairs)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that occur."""
        return tuple(sorted({pair.rank for pair in self.pairs}))


def base_name(folder: Path) -> str:
    """The base model that adapter_config.json names, or an empty string."""
    return _read_config(folder).base_model_name_or_path or ""


def base_of_config(config: Config, name: str) -> Base:
    """The base as its config.json describes it."""
    output = (config.vocab_size, config.hidden_size)
    return Base(name, projection_shapes(config), config.num_hidden_layers, output)


def base_of_header(header: Header, name: str) -> Base:
    """The base as a GGUF header describes it. Raises UsageError for another architecture than llama."""
    if header.architecture != "llama":
        raise UsageError(f"{name} is a {header.architecture} model.", "Adapters of llama models are converted.")
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    heads = int(header.number("llama.attention.head_count"))
    kv_heads = int(header.number("llama.attention.head_count_kv", heads))
    regrouped = {"self_attn.q_proj": heads, "self_attn.k_proj": kv_heads}
    found: dict[str, tuple[int, int, int]] = {}
    for projection, short in PROJECTIONS.items():
        shape = shapes.get(f"blk.0.{short}.weight")
        if shape is None:
            raise ModelBroken(f"{name} has no tensor blk.0.{short}.weight.", "Name another --base.")
        found[projection] = (shape[1], shape[0], regrouped.get(projection, 0))
    width, vocabulary = shapes.get("output.weight", shapes.get("token_embd.weight", (0, 0)))
    return Base(name, found, int(header.number("llama.block_count")), (vocabulary, width))


def plan_adapter(folder: Path, base: Base, store: Store, *, name: str, repo: str = "") -> AdapterPlan:
    """Read and check an adapter's files against its base model.

    Raises UsageError for what llama.cpp's adapters cannot express, Refused for pickles, ModelMissing and ModelBroken.
    """
    config = _read_config(folder)
    _refuse_unknown(config, folder.name)
    weights = folder / WEIGHTS
    if not weights.exists():
        _refuse_pickle(folder)
    alpha = config.lora_alpha if config.lora_alpha > 0 else 1.0
    sides = _sides(read_file(weights))
    pairs = tuple(_pair(module, found, config, base, alpha) for module, found in sorted(sides.items(), key=_order))
    target = adapters_folder(store) / f"{name}.gguf"
    return AdapterPlan(name, target, alpha, pairs, base.name, repo)


def write_adapter(plan: AdapterPlan, report: Report) -> Path:
    """Write the GGUF of `plan` and give its path, or leave nothing behind. Raises DiskError and ModelBroken."""
    folder = paths.private_folder(plan.target.parent)
    require_space(folder, plan.size, what=plan.name)
    part = folder / f"{plan.target.name}.{secrets.token_hex(4)}{PART}"
    try:
        _write(plan, part, report)
        read_header(part)
        part.replace(plan.target)
    except OSError as error:
        raise DiskError(f"{plan.target} cannot be written: {error.strerror or error}.", "Make room.") from None
    finally:
        part.unlink(missing_ok=True)
    return plan.target


def _refuse_unknown(config: _Config, name: str) -> None:
    """Raise UsageError for the first thing in `config` that a GGUF adapter cannot hold."""
    kind = config.peft_type.upper()
    reasons = (
        (kind != "LORA", f"it is a {kind} adapter, and only LoRA can be loaded"),
        (config.use_dora, "it is a DoRA adapter: its magnitudes depend on the base weights, which LoRA cannot express"),
        (config.bias != "none" or config.lora_bias, "it trains biases, which a GGUF adapter cannot hold"),
        (
            bool(config.modules_to_save),
            f"it replaces whole modules ({', '.join(config.modules_to_save or ())[:80]}, modules_to_save)",
        ),
        (bool(config.layer_replication), "it replicates layers of its base model"),
        (bool(config.target_parameters), "it targets bare parameters (target_parameters)"),
        (bool(config.trainable_token_indices), "it trains single tokens (trainable_token_indices)"),
        (bool(config.alora_invocation_tokens), "it is an activated LoRA, which works in a part of the text only"),
    )
    for applies, reason in reasons:
        if applies:
            raise UsageError(
                f"The adapter {name} cannot be imported: {reason}.",
                "Merge it into its base model with PEFT and import the result.",
            )


def _read_config(folder: Path) -> _Config:
    path = folder / CONFIG
    try:
        return _Config.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelBroken(f"{path} cannot be used: {where}: {first['msg'].lower()}.", "Download it again.") from None


def _refuse_pickle(folder: Path) -> None:
    pickles = [*folder.glob("adapter_model.bin"), *folder.glob("*.bin"), *folder.glob("*.pt")]
    if pickles:
        raise Refused(
            f"{folder.name} holds its weights in {pickles[0].name}, a Python pickle, which can run any program when it "
            "is read.",
            "Look for a version of it in safetensors.",
        )
    raise ModelMissing(f"{folder} holds no {WEIGHTS}.", "Download all of its files.")


def _sides(tensors: Mapping[str, StoredTensor]) -> dict[str, dict[str, StoredTensor]]:
    """A and B of each module. Raises UsageError for a tensor that is neither."""
    sides: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in tensors.items():
        match = _PART.fullmatch(name)
        if match is None:
            what = "a DoRA magnitude" if "magnitude" in name else "a bias" if name.endswith("bias") else "not LoRA"
            raise UsageError(f"The adapter holds the tensor {name[:120]} ({what}), which cannot be imported.")
        sides.setdefault(match["module"], {})[match["side"]] = tensor
    if not sides:
        raise ModelBroken("The adapter holds no tensors.", "Download it again.")
    return sides


def _pair(module: str, found: Mapping[str, StoredTensor], config: _Config, base: Base, alpha: float) -> Pair:
    if set(found) != {"A", "B"}:
        raise ModelBroken(f"The adapter lacks one half of {module[:120]} (lora_A and lora_B).", "Download it again.")
    name, (rows, columns, heads) = _place(module, base)
    a, b = found["A"], found["B"]
    rank = _pattern(module, config.rank_pattern, config.r)
    turned = (_turned(a, (rank, columns), config, base), _turned(b, (rows, rank), config, base))
    own_alpha = _pattern(module, config.alpha_pattern, config.lora_alpha)
    scale = own_alpha / (math.sqrt(rank) if config.use_rslora else rank)
    return Pair(name, a, b, rank, heads, scale * rank / alpha, turned)


def _place(module: str, base: Base) -> tuple[str, tuple[int, int, int]]:
    """The GGUF tensor of `module` and its shape. Raises ModelBroken when the base has no such module."""
    match = re.fullmatch(r"model\.layers\.(\d+)\.([a-z_.]+)", module)
    if match and match[2] in base.shapes:
        layer = int(match[1])
        if layer >= base.layers:
            raise ModelBroken(f"The adapter changes layer {layer}; {base.name} has {base.layers}.", _OTHER_BASE)
        return f"blk.{layer}.{PROJECTIONS[match[2]]}.weight", base.shapes[match[2]]
    if module == "lm_head":
        return "output.weight", (*base.output, 0)
    raise UsageError(f"The adapter changes {module[:120]}, which a GGUF adapter of a Llama model cannot.")


def _turned(tensor: StoredTensor, shape: tuple[int, int], config: _Config, base: Base) -> bool:
    """Whether `tensor` lies transposed; only fan_in_fan_out allows that. Raises ModelBroken for another shape."""
    if tensor.shape == shape:
        return False
    if config.fan_in_fan_out and tensor.shape == shape[::-1]:
        return True
    raise ModelBroken(
        f"The tensor {tensor.name[:120]} has the shape {list(tensor.shape)}; {base.name} and {CONFIG} demand "
        f"{list(shape)}.",
        _OTHER_BASE,
    )


def _pattern(module: str, patterns: Mapping[str, Number], default: Number) -> Number:
    """The value for `module`: that of the first pattern that matches the end of its name, as PEFT chooses."""
    for pattern, value in patterns.items():
        try:
            found = re2.fullmatch(rf"(?:.*\.)?(?:{pattern})", module)
        except re2.error:
            found = None
        if found or module == pattern or module.endswith(f".{pattern}"):
            return value
    return default


def _order(item: tuple[str, object]) -> tuple[int, str]:
    found = re.search(r"\.layers\.(\d+)\.", item[0])
    return (int(found[1]) if found else 1 << 30, item[0])


def _write(plan: AdapterPlan, part: Path, report: Report) -> None:
    metadata: dict[str, Entry] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "general.name": plan.name,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(plan.alpha),
        "general.base_model.count": 1,
        "general.base_model.0.name": plan.base,
    }
    metadata |= {"general.source.huggingface.repository": plan.repo} if plan.repo else {}
    tensors = []
    for pair in plan.pairs:
        shapes = (pair.a.shape[:: -1 if pair.turned[0] else 1], pair.b.shape[:: -1 if pair.turned[1] else 1])
        tensors += [Planned(f"{pair.name}.lora_{side}", shape, "F32") for side, shape in zip("ab", shapes, strict=True)]
    file = GgufFile(part, metadata, tensors)
    try:
        for done, pair in enumerate(plan.pairs, 1):
            for values in pair.read():
                file.write(values)
            report(Progress(plan.target.name, "converting", plan.size * done // len(plan.pairs), plan.size))
    finally:
        file.close()
