"""One training step: network, optimizers, loss. Knows tensors, no files and no schedule.

Beside the loss on tokens, two heads are guided: the first head of one layer is to look at the function that the reply
is about (at the begin of the text when there is none), the first head of a later layer at the tokens that the reply
repeats. Finding a name in the block is the slowest skill to arise by itself; shown where to look, it arises early.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from recipe.model import Looks, Shape, Starter
from recipe.muon import Muon

MUON_RATE, ADAM_RATE = 0.02, 3e-3
GUIDANCE = 1.0
# Targets of at least this weight are a reply's; the others are the prompt's.
REPLY_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Mean loss over the reply's tokens, the share of them that greedy decoding would get right, and the guided heads'
    loss."""

    loss: float
    right: float
    guided: float


def rate(share: float, step: int, hold: float) -> float:
    """Part of the learning rates: warm-up over 40 steps, constant to `hold` of the training, then linear to 2%."""
    warm = min(1.0, (step + 1) / 40)
    return warm * (1.0 if share < hold else max(0.02, 1 - 0.98 * (share - hold) / (1 - hold)))


def tensors(table: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Tensor]:
    """Rows as pack.py makes them, for the network."""
    return {
        name: torch.from_numpy(array.astype(np.float32 if name == "weights" else np.int64))
        for name, array in table.items()
    }


def quick_type(device: torch.device) -> torch.dtype:
    """What to multiply in: bfloat16, but on processors without AVX-512, which take dozens of times as long for it."""
    quick = device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.bfloat16 if quick else torch.float32


class Learner:
    """Muon on matrices, AdamW on embeddings and norms."""

    def __init__(
        self, shape: Shape, device: torch.device, *, compiled: bool = True, guidance: float = GUIDANCE
    ) -> None:
        self.device, self.guidance, self.dtype = device, guidance, quick_type(device)
        self.model = Starter(shape).to(device)
        named = list(self.model.named_parameters())
        matrices = [parameter for name, parameter in named if parameter.ndim == 2 and "embedding" not in name]
        self.others = [parameter for name, parameter in named if parameter.ndim == 1 or "embedding" in name]
        self.muon = Muon(matrices, MUON_RATE, dtype=self.dtype)
        self.adam = torch.optim.AdamW(self.others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self.body: nn.Module = torch.compile(self.model, dynamic=False) if compiled else self.model  # type: ignore[assignment]

    def state(self) -> dict[str, object]:
        return {"model": self.model.state_dict(), "muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load(self, state: Mapping[str, dict[str, object]]) -> None:
        self.model.load_state_dict(state["model"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])

    def losses(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Loss, weight and whether greedy is right, for each target with a weight; and the guided heads' loss."""
        looks = Looks(batch["groups"], batch["selects"], batch["copies"])
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            hidden, chosen, copied = self.body(
                batch["tokens"], batch["positions"], batch["trees"], batch["branches"], looks
            )
            weights = batch["weights"].flatten()
            at = weights.nonzero().squeeze(1)
            logits = functional.linear(hidden.flatten(0, 1)[at], self.model.embedding.weight)
        targets = batch["targets"].flatten()[at]
        with torch.no_grad():
            right = (logits.argmax(-1) == targets).float()
        guided = missed(chosen, batch["selects"], batch["weights"]) + missed(copied, batch["copies"], batch["weights"])
        return functional.cross_entropy(logits.float(), targets, reduction="none"), weights[at], right, guided

    def step(self, batch: Mapping[str, Tensor], factor: float, step: int) -> Outcome:
        """Learn from a batch at `factor` of the usual rates. Raises FloatingPointError when the loss is not finite."""
        self.muon.param_groups[0].update(lr=MUON_RATE * factor, momentum=0.85 + 0.1 * min(1.0, step / 300))
        self.adam.param_groups[0]["lr"] = ADAM_RATE * factor
        losses, weight, right, guided = self.losses(batch)
        loss = (losses * weight).sum() / weight.sum() + self.guidance * guided
        loss.backward()
        nn.utils.clip_grad_norm_(self.others, 1.0)
        self.muon.step()
        self.adam.step()
        self.muon.zero_grad(set_to_none=True)
        self.adam.zero_grad(set_to_none=True)
        outcome = of_reply(losses.detach(), weight, right, float(guided.detach()))
        if not math.isfinite(outcome.loss):
            raise FloatingPointError(f"loss is {outcome.loss}")
        return outcome


def missed(found: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of -log of the attention that reached the wanted places."""
    weights = weights * (wanted > 0)
    return -((found + 1e-6).log() * weights).sum() / weights.sum()


def of_reply(losses: Tensor, weight: Tensor, right: Tensor, guided: float) -> Outcome:
    """The outcome over the reply's tokens alone."""
    reply = weight >= REPLY_WEIGHT
    return Outcome(float(losses[reply].mean()), float(right[reply].mean()), guided)
