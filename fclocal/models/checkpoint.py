"""A Llama-architecture checkpoint: its config.json, and which GGUF tensor each of its tensors becomes. Reads no
weights.

Names, shapes and the order of rows follow Hugging Face's Llama modelling code on one side and llama.cpp's `llama`
architecture on the other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fclocal.errors import ModelBroken, ModelMissing, UsageError
from fclocal.models.safetensors_file import Array, StoredTensor

ARCHITECTURES: Final = ("LlamaForCausalLM", "MistralForCausalLM")
# The projections of one layer: checkpoint name -> GGUF name.
PROJECTIONS: Final[Mapping[str, str]] = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NORMS: Final[Mapping[str, str]] = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
# Tables that are computed anew at load.
_DROPPED: Final = re.compile(r"(?:model\.)?(?:layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")

_Count: TypeAlias = Annotated[int, Field(gt=0, le=1 << 20)]


class _Rope(BaseModel):
    rope_type: str | None = None
    type: str | None = None
    factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    low_freq_factor: Annotated[float, Field(gt=0)] = 1.0
    high_freq_factor: Annotated[float, Field(gt=0)] = 4.0
    original_max_position_embeddings: _Count = 8192
    rope_theta: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def kind(self) -> str:
        return self.rope_type or self.type or "default"


class Config(BaseModel):
    """What config.json says about a checkpoint, as far as it matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    architectures: tuple[str, ...] = ()
    model_type: str = ""
    hidden_size: _Count
    intermediate_size: _Count
    num_hidden_layers: Annotated[int, Field(gt=0, le=4096)]
    num_attention_heads: _Count
    num_key_value_heads: _Count | None = None
    head_dim: _Count | None = None
    vocab_size: Annotated[int, Field(gt=0, le=1 << 22)]
    max_position_embeddings: Annotated[int, Field(gt=0, le=1 << 30)] = 2048
    rms_norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    rope_theta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10_000.0
    rope_scaling: _Rope | None = None
    rope_parameters: _Rope | None = None
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    quantization_config: dict[str, object] | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Elements of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def rope(self) -> _Rope:
        """How positions are scaled."""
        return self.rope_parameters or self.rope_scaling or _Rope()

    @property
    def theta(self) -> float:
        """Base of the rotary frequencies."""
        return self.rope.rope_theta or self.rope_theta

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """End tokens, the main one first."""
        ids = self.eos_token_id
        return tuple(ids) if isinstance(ids, list) else () if ids is None else (ids,)


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor of the GGUF: its name, the stored tensor it is made of, and how many heads its rows are regrouped for, 0
    for none."""

    name: str
    source: StoredTensor
    heads: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is a vector, which llama.cpp wants in F32."""
        return len(self.source.shape) < 2

    def read(self, dtype: str) -> Array:
        """Its values as `dtype` (F32, F16, BF16), rows regrouped."""
        values = self.source.read("F32" if self.plain else dtype)
        return regroup(values, self.heads) if self.heads else values


def read_config(folder: Path) -> Config:
    """Read and check config.json. Raises ModelMissing, ModelBroken, and UsageError for what llama.cpp's llama
    architecture cannot express."""
    path = folder / "config.json"
    try:
        text = path.read_bytes()
    except OSError:
        raise ModelMissing(f"{folder} holds no config.json.", "Name the folder of a checkpoint.") from None
    try:
        config = Config.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        kind = re.search(rb'"model_type"\s*:\s*"([\w.-]{1,40})"', text)
        if kind and kind[1] not in (b"llama", b"mistral"):
            raise UsageError(f"{folder.name} is a {kind[1].decode()} model.", _ONLY) from None
        raise ModelBroken(f"{path} cannot be used: {where}: {first['msg'].lower()}.", "Download it again.") from None
    _check(config, folder.name)
    return config


def targets(config: Config, stored: Mapping[str, StoredTensor]) -> tuple[Target, ...]:
    """The tensors of the GGUF in its order.

    Raises ModelBroken when a tensor is missing, has another shape than the config demands, or is not known.
    """
    wanted = _wanted(config)
    found: list[Target] = []
    for source, (name, shape, heads) in wanted.items():
        tensor = stored.get(source)
        if tensor is None:
            raise ModelBroken(f"The checkpoint lacks the tensor {source}.", "Download all of its files.")
        if tensor.shape != shape:
            raise ModelBroken(
                f"The tensor {source} has the shape {list(tensor.shape)}; config.json demands {list(shape)}.",
                "The weights belong to another config.json.",
            )
        found.append(Target(name, tensor, heads))
    extra = [name for name in stored if name not in wanted and not _DROPPED.fullmatch(name)]
    if config.tie_word_embeddings:
        extra = [name for name in extra if name != "lm_head.weight"]
    if extra:
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ModelBroken(
            f"The checkpoint holds a tensor that a Llama model has no place for: {extra[0][:120]}{more}.",
            "It is of another architecture, or an adapter.",
        )
    return tuple(found)


def metadata(config: Config) -> dict[str, int | float | str]:
    """The `llama.*` keys of the GGUF."""
    keys: dict[str, int | float | str] = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "attention.key_length": config.head_size,
        "attention.value_length": config.head_size,
        "rope.dimension_count": config.head_size,
        "rope.freq_base": config.theta,
        "vocab_size": config.vocab_size,
    }
    if config.rope.kind == "linear":
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": config.rope.factor}
    return {f"llama.{key}": value for key, value in keys.items()}


def rope_factors(config: Config) -> NDArray[np.float32] | None:
    """Llama 3's factor for each rotary frequency, shape (head size / 2,); None for the other kinds."""
    rope = config.rope
    if rope.kind != "llama3":
        return None
    low = rope.original_max_position_embeddings / rope.low_freq_factor
    high = rope.original_max_position_embeddings / rope.high_freq_factor
    factors = []
    for index in range(0, config.head_size, 2):
        length = 2 * math.pi * config.theta ** (index / config.head_size)
        if length < high:
            factors.append(1.0)
        elif length > low:
            factors.append(rope.factor)
        else:
            smooth = rope.original_max_position_embeddings / length - rope.low_freq_factor
            smooth /= rope.high_freq_factor - rope.low_freq_factor
            factors.append(1 / ((1 - smooth) / rope.factor + smooth))
    return np.array(factors, np.float32)


def regroup(values: Array, heads: int) -> Array:
    """The rows of each head from halves (as transformers rotates them) to pairs (as llama.cpp does)."""
    rows = values.shape[0]
    halves = values.reshape(heads, 2, rows // heads // 2, *values.shape[1:])
    return cast("Array", np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape))


def projection_shapes(config: Config) -> dict[str, tuple[int, int, int]]:
    """(rows, columns, heads to regroup for) of each projection, by its name in the checkpoint."""
    width, inner = config.hidden_size, config.intermediate_size
    query, key = config.num_attention_heads * config.head_size, config.kv_heads * config.head_size
    return {
        "self_attn.q_proj": (query, width, config.num_attention_heads),
        "self_attn.k_proj": (key, width, config.kv_heads),
        "self_attn.v_proj": (key, width, 0),
        "self_attn.o_proj": (width, query, 0),
        "mlp.gate_proj": (inner, width, 0),
        "mlp.up_proj": (inner, width, 0),
        "mlp.down_proj": (width, inner, 0),
    }


def notes(config: Config) -> tuple[str, ...]:
    """What the user should know about how this model was converted."""
    window = config.sliding_window
    if window and window < config.max_position_embeddings:
        return (f"The model was trained with a sliding window of {window:,} tokens; every token sees all before it.",)
    return ()


_Rows: TypeAlias = tuple[str, tuple[int, ...], int]


def _wanted(config: Config) -> dict[str, _Rows]:
    width = config.hidden_size
    wanted: dict[str, _Rows] = {"model.embed_tokens.weight": ("token_embd.weight", (config.vocab_size, width), 0)}
    shapes = projection_shapes(config)
    for layer in range(config.num_hidden_layers):
        source, target = f"model.layers.{layer}", f"blk.{layer}"
        for norm, name in _NORMS.items():
            wanted[f"{source}.{norm}.weight"] = (f"{target}.{name}.weight", (width,), 0)
        for projection, name in PROJECTIONS.items():
            rows, columns, heads = shapes[projection]
            wanted[f"{source}.{projection}.weight"] = (f"{target}.{name}.weight", (rows, columns), heads)
    wanted["model.norm.weight"] = ("output_norm.weight", (width,), 0)
    if not config.tie_word_embeddings:
        wanted["lm_head.weight"] = ("output.weight", (config.vocab_size, width), 0)
    return wanted


_ONLY: Final = "fclocal import converts Llama and Mistral models; look for a GGUF of this one on the Hub."


def _check(config: Config, name: str) -> None:
    """Raise UsageError for what cannot be converted rightly, ModelBroken for numbers that contradict each other."""
    kinds = config.architectures or {"llama": ARCHITECTURES[:1], "mistral": ARCHITECTURES[1:]}.get(
        config.model_type, ()
    )
    if not kinds or kinds[0] not in ARCHITECTURES:
        raise UsageError(f"{name} is a {kinds[0] if kinds else config.model_type or 'nameless'} model.", _ONLY)
    if config.quantization_config:
        method = config.quantization_config.get("quant_method", "some method")
        raise UsageError(f"{name} is quantized already ({method}).", "Import the checkpoint it was made from.")
    if config.hidden_act not in ("silu", "swish"):
        raise UsageError(f"{name} uses the activation {config.hidden_act}; a Llama model has silu.", _ONLY)
    if config.attention_bias or config.mlp_bias:
        raise UsageError(f"{name} has biases in its projections, which are not converted.", _ONLY)
    if config.rope.kind not in ("default", "linear", "llama3"):
        raise UsageError(f"{name} scales positions by {config.rope.kind}; linear and llama3 are known.", _ONLY)
    if config.num_attention_heads % config.kv_heads or config.head_size % 2:
        raise ModelBroken(f"The config.json of {name} has impossible numbers of heads.")
    if config.head_dim is None and config.hidden_size % config.num_attention_heads:
        raise ModelBroken(f"The config.json of {name} has a hidden size that its heads do not divide.")
