"""What was typed for a turn, read into the values the program works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, cast

from fclocal.chat.decide import Missing
from fclocal.chat.reply import ReplyRequest
from fclocal.chat.turn import TurnSettings
from fclocal.cli.options import gpu_layers, one_of
from fclocal.config import Config
from fclocal.engine.request import Sampling
from fclocal.grammar.calls import Choice, NamedChoice
from fclocal.runtime import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnWords:
    """The words of the shared options, as typed."""

    model: str | None = None
    functions: list[Path] | None = None
    tools: list[Path] | None = None
    mcp: list[str] | None = None
    builtin: list[str] | None = None
    system: str | None = None
    dialect: str | None = None
    choice: str = "auto"
    missing: str | None = None
    seed: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    context: int | None = None
    gpu_layers: str = "auto"
    adapter: list[Path] | None = None
    verbose: bool = False

    @classmethod
    def of(cls, typed: Mapping[str, Any]) -> Self:
        """The shared options out of all that a command was given (Typer's `context.params`)."""
        return cls(**{field.name: typed[field.name] for field in fields(cls)})

    def options(self) -> Options:
        """What to load and offer. Raises UsageError."""
        return Options(
            model=self.model,
            dialect=self.dialect,
            functions=tuple(self.functions or ()),
            tools=tuple(self.tools or ()),
            mcp=tuple(self.mcp or ()),
            builtin=tuple(self.builtin or ("default",)),
            context=self.context,
            gpu_layers=gpu_layers(self.gpu_layers),
            adapters=tuple(self.adapter or ()),
            verbose=self.verbose,
        )

    def settings(self, config: Config, *, missing: Missing, max_calls: int) -> TurnSettings:
        """How a turn runs; `missing` is the command's default. Raises UsageError."""
        word = cast("Missing | None", one_of("--missing", self.missing, ("ask", "warn", "off")))
        generation = config.generation
        sampling = Sampling(
            temperature=generation.temperature if self.temperature is None else self.temperature,
            seed=generation.seed if self.seed is None else self.seed,
        )
        request = ReplyRequest(
            (),
            choice=read_choice(self.choice),
            max_calls=max_calls,
            sampling=sampling,
            max_tokens=self.max_tokens or generation.max_tokens,
        )
        return TurnSettings(request, missing=word or missing)


def read_choice(word: str) -> Choice:
    """`auto`, `required`, `none`, or the name of a function."""
    match word:
        case "auto" | "required" | "none":
            return word
        case _:
            return NamedChoice(word)
