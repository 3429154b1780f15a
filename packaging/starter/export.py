"""Write a checkpoint as GGUF (f16 or Q8_0) with its tokenizer. Knows both formats, no training."""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import torch
from recipe.model import Shape, Starter
from recipe.pieces import KNOWN
from recipe.tokens import BOS, EOS, vocabulary

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "fclocal" / "models" / "starter" / "starter.gguf"
BLOCK_NAMES = {
    "attention_norm": "attn_norm",
    "feed_norm": "ffn_norm",
    "query.weight": "attn_q",
    "key.weight": "attn_k",
    "value.weight": "attn_v",
    "output.weight": "attn_output",
    "gate.weight": "ffn_gate",
    "up.weight": "ffn_up",
    "down.weight": "ffn_down",
}
CONTEXT = 4096


def gguf_name(name: str) -> str:
    if name == "embedding.weight":
        return "token_embd.weight"
    if name == "norm":
        return "output_norm.weight"
    _, layer, inner = name.split(".", 2)
    return f"blk.{layer}.{BLOCK_NAMES[inner]}.weight"


def token_type(index: int, token: str) -> gguf.TokenType:
    """What llama.cpp is to make of a token."""
    if index in {BOS, EOS}:
        return gguf.TokenType.CONTROL
    if token in KNOWN:
        return gguf.TokenType.USER_DEFINED
    return gguf.TokenType.UNUSED if token.startswith("<unused") else gguf.TokenType.NORMAL


def write(weights: dict[str, npt.NDArray[np.float32]], shape: Shape, target: Path, *, quantize: bool) -> None:
    """One GGUF file; norms stay f32, matrices become Q8_0 or f16."""
    tokens, merges = vocabulary()
    writer = gguf.GGUFWriter(str(target), "llama")
    writer.add_name("fclocal starter")
    writer.add_description(
        "A tiny function-calling model trained from scratch on generated conversations; see MODEL_CARD.md."
    )
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_string("fclocal.dialect", "trelis-llama")
    writer.add_string("fclocal.layout", "one-line")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantize else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([token_type(index, token) for index, token in enumerate(tokens)])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    for name, array in weights.items():
        if array.ndim == 1:
            writer.add_tensor(gguf_name(name), array.astype(np.float32))
        elif quantize:
            packed = gguf.quants.quantize(array.astype(np.float32), gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(gguf_name(name), packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(gguf_name(name), array.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path: Path, shape: Shape) -> dict[str, torch.Tensor]:
    """The weights of an exported file, to go on training from where no checkpoint is left."""
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(str(path)).tensors}
    names = [name for name, _ in Starter(shape).named_parameters()]
    found: dict[str, torch.Tensor] = {}
    for name in names:
        tensor = stored[gguf_name(name)]
        found[name] = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, default=HERE / "runs" / "last.pt")
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--f16", action="store_true")
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    weights = {name: tensor.float().numpy() for name, tensor in saved["model"].items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    part = options.out.with_suffix(".part")
    write(weights, Shape(), part, quantize=not options.f16)
    part.replace(options.out)
    print(
        f"{options.out.name}: {options.out.stat().st_size} bytes, step {saved['step']}, "
        f"{saved['tokens']} tokens, {saved['spent'] / 60:.1f} minutes"
    )


if __name__ == "__main__":
    main()
