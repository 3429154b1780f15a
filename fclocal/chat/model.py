"""A loaded model with what a receipt says about it."""

from __future__ import annotations

from dataclasses import dataclass

from fclocal.dialects.dialect import Dialect
from fclocal.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Model:
    """`sha256` is that of the weights file, `quant` what the tensors really are, `name` what the user calls it.

    `stop` are texts of tokens that end a reply beside the vocabulary's own end token.
    """

    name: str
    engine: Engine
    dialect: Dialect
    sha256: str
    quant: str
    stop: tuple[str, ...] = ()
