"""Muon: momentum orthogonalised by Newton-Schulz steps, for matrices. https://kellerjordan.github.io/posts/muon/"""

from __future__ import annotations

import torch
from torch import Tensor


def orthogonal(matrix: Tensor, dtype: torch.dtype, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix, roughly, for a (batch, rows, columns) stack, computed in `dtype`."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.to(dtype)
    turned = x.shape[-2] > x.shape[-1]
    if turned:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if turned else x).float()


class Muon(torch.optim.Optimizer):
    """Matrices of equal shape are handled as one stack."""

    def __init__(
        self,
        parameters: list[Tensor],
        learning_rate: float = 0.02,
        momentum: float = 0.95,
        decay: float = 0.02,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum, "decay": decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure here
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, stack in shapes.items():
                updates = []
                for parameter in stack:
                    state = self.state[parameter]
                    buffer = state.setdefault("momentum", torch.zeros_like(parameter))
                    buffer.lerp_(parameter.grad, 1 - group["momentum"])
                    updates.append(parameter.grad.lerp(buffer, group["momentum"]))
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, update in zip(stack, orthogonal(torch.stack(updates), self.dtype), strict=True):
                    parameter.mul_(1 - group["lr"] * group["decay"]).add_(update, alpha=-group["lr"] * scale)
