"""The network: a small Llama (RMSNorm, interleaved RoPE, SwiGLU, tied) with a tree mask. Knows no training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from recipe.sources import SPAN


@dataclass(frozen=True, slots=True)
class Shape:
    """`select` and `copy` are the layers whose first head the trainer guides (see learning.py)."""

    vocabulary: int = 6144
    width: int = 256
    layers: int = 8
    heads: int = 4
    hidden: int = 512
    rope_base: float = 500000.0
    epsilon: float = 1e-6
    select: int = 4
    copy: int = 6


@dataclass(frozen=True, slots=True)
class Looks:
    """For each token (rows, length): the group it is a part of, the group to choose and the place of the token to copy
    when predicting the next one. 0 is nowhere."""

    groups: Tensor
    selects: Tensor
    copies: Tensor


class Block(nn.Module):
    """Attention and feed-forward, both with a norm before."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.epsilon = shape.heads, shape.epsilon
        self.attention_norm = nn.Parameter(torch.ones(shape.width))
        self.feed_norm = nn.Parameter(torch.ones(shape.width))
        self.query, self.key, self.value, self.output = (
            nn.Linear(shape.width, shape.width, bias=False) for _ in range(4)
        )
        self.gate, self.up = (nn.Linear(shape.width, shape.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)
        for layer in (self.query, self.key, self.value, self.gate, self.up):
            nn.init.normal_(layer.weight, std=shape.width**-0.5)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.down.weight)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, wanted: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        batch, length, width = x.shape
        y = functional.rms_norm(x, (width,), self.attention_norm, self.epsilon)
        query, key, value = (
            layer(y).view(batch, length, self.heads, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        seen, found = attend(query, key, value, mask, wanted)
        x = x + self.output(seen.transpose(1, 2).reshape(batch, length, width))
        y = functional.rms_norm(x, (width,), self.feed_norm, self.epsilon)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y)), found


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, wanted: Tensor | None, pieces: int = 4
) -> tuple[Tensor, Tensor | None]:
    """Masked attention in pieces of queries, each over the keys up to its end: 5/8 of the work of one causal mask.
    With `wanted` (rows, length, length) also the part of the first head's attention that falls there.

    Plain products and a softmax, because PyTorch's fused kernel takes twice as long on a CPU when it has a mask.
    """
    length, scale = query.shape[2], query.shape[3] ** -0.5
    ends = [length * (index + 1) // pieces for index in range(pieces)]
    starts = [0, *ends[:-1]]
    seen, found = [], []
    for start, end in zip(starts, ends, strict=True):
        scores = query[:, :, start:end] @ key[:, :, :end].mT
        shares = (scores.float() * scale + mask[:, :, start:end, :end]).softmax(-1)
        seen.append(shares.to(value.dtype) @ value[:, :, :end])
        if wanted is not None:
            found.append((shares[:, 0] * wanted[:, start:end, :end]).sum(-1))
    return torch.cat(seen, dim=2), torch.cat(found, dim=1) if found else None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on pairs (0, 1), (2, 3), ... as llama.cpp's llama architecture expects."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


class Starter(nn.Module):
    """Token ids and their places in a tree to normalised hidden states."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))
        half = shape.width // shape.heads // 2
        self.register_buffer(
            "frequencies", shape.rope_base ** (-torch.arange(half, dtype=torch.float32) / half), persistent=False
        )

    def forward(
        self, tokens: Tensor, positions: Tensor, trees: Tensor, branches: Tensor, looks: Looks | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Hidden states, and with `looks` the attention that the guided heads give to the wanted places."""
        dtype = torch.bfloat16 if torch.is_autocast_enabled(tokens.device.type) else torch.float32
        mask = tree_mask(trees, branches, dtype)
        angles = positions[:, None, :, None].float() * self.frequencies
        cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
        wanted: dict[int, Tensor] = {}
        if looks is not None:
            groups, selects = looks.groups[:, None], looks.selects[:, :, None]
            chosen = (groups == selects) | (groups - groups % SPAN == selects)
            same = torch.arange(tokens.shape[1], device=tokens.device) == looks.copies[:, :, None]
            wanted = {self.shape.select: chosen, self.shape.copy: same}
        found: dict[int, Tensor | None] = {}
        x = self.embedding(tokens).to(dtype)
        for index, block in enumerate(self.blocks):
            x, found[index] = block(x, cos, sin, mask, wanted.get(index))
        hidden = functional.rms_norm(x, (self.shape.width,), self.norm.to(x.dtype), self.shape.epsilon)
        return hidden, found[self.shape.select], found[self.shape.copy]


def tree_mask(trees: Tensor, branches: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask (rows, 1, length, length): causal, same tree, and the block or the own conversation."""
    length = trees.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=trees.device).tril()
    same = trees[:, :, None] == trees[:, None, :]
    visible = (branches[:, None, :] == 0) | (branches[:, :, None] == branches[:, None, :])
    allowed = causal & same & visible
    return torch.zeros(allowed.shape, dtype=dtype, device=trees.device).masked_fill_(~allowed, -1e4)[:, None]
