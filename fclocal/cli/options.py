"""The options that commands share, as Typer annotations, and how their words are read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from fclocal import __version__
from fclocal.errors import UsageError

Model: TypeAlias = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|PATH[:QUANT]", help="Model to use (default: the built-in starter)."),
]
Functions: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--functions", metavar="FILE", help="Functions as JSON metadata or OpenAI tools; repeatable."),
]
Tools: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--tools", metavar="FILE.py", help="Python functions that may run; repeatable.")
]
Mcp: TypeAlias = Annotated[
    list[str] | None, typer.Option("--mcp", metavar="NAME", help="MCP server of mcp.json; repeatable.")
]
Builtin: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--builtin", metavar="NAME|default|all|none", help="Built-in functions to offer; repeatable."),
]
System: TypeAlias = Annotated[str | None, typer.Option("--system", metavar="TEXT", help="System message.")]
Dialect: TypeAlias = Annotated[
    str | None, typer.Option("--dialect", metavar="NAME", help="Prompt format (default: the model's own).")
]
Choice: TypeAlias = Annotated[
    str, typer.Option("--choice", metavar="auto|required|none|FUNCTION", help="Must the model call a function?")
]
Missing: TypeAlias = Annotated[
    str | None,
    typer.Option("--missing", metavar="ask|warn|off", help="What to do about an argument that nobody gave."),
]
Seed: TypeAlias = Annotated[int | None, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the sampling.")]
Temperature: TypeAlias = Annotated[
    float | None, typer.Option("--temperature", min=0.0, max=10.0, help="0 takes the likeliest token.")
]
MaxTokens: TypeAlias = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Longest reply, in tokens.")]
Context: TypeAlias = Annotated[int | None, typer.Option("--context", min=64, help="Context length, in tokens.")]
GpuLayers: TypeAlias = Annotated[
    str, typer.Option("--gpu-layers", metavar="auto|all|N", help="Layers to put on the GPU.")
]
Adapter: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--adapter", metavar="FILE", help="LoRA adapter (GGUF) to load; repeatable.")
]
PrintPrompt: TypeAlias = Annotated[
    bool, typer.Option("--print-prompt", help="Print the exact prompt text, without BOS, and run nothing.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Verbose: TypeAlias = Annotated[bool, typer.Option("--verbose", help="Show llama.cpp's log on stderr.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fclocal {__version__}")
        raise typer.Exit


Version: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--version", help="Print the version and exit.", callback=_print_version, is_eager=True, expose_value=False
    ),
]


def gpu_layers(word: str) -> int | None:
    """`auto` -> None (as many as fit), `all` -> -1, else the number. Raises UsageError."""
    if word == "auto":
        return None
    if word == "all":
        return -1
    if word.isdecimal():
        return int(word)
    raise UsageError(f"--gpu-layers {word!r} is not auto, all or a number.")


def one_of(option: str, word: str | None, words: tuple[str, ...]) -> str | None:
    """`word` if it is one of `words` or None. Raises UsageError."""
    if word is None or word in words:
        return word
    raise UsageError(f"{option} {word!r} is not known.", f"Use one of: {', '.join(words)}.")


def prompt_text(argument: str | None) -> str | None:
    """The prompt: the argument, else piped stdin, else None for a conversation in the terminal.

    Raises UsageError for an empty prompt or stdin that is not UTF-8.
    """
    text = argument
    if text is None or text == "-":
        if text is None and sys.stdin.isatty():
            return None
        try:
            text = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"The text on stdin is not UTF-8 (byte {error.start}).", "Convert it first.") from None
    if any("\ud800" <= char <= "\udfff" for char in text):
        try:
            text = os.fsencode(text).decode("utf-8")
        except UnicodeError:
            raise UsageError("The prompt is not valid UTF-8.", "Convert it first.") from None
    if not text.strip():
        raise UsageError("The prompt is empty.", 'Say what you want: fclocal chat "What is 2 + 2?"')
    return text
