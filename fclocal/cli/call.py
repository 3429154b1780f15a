"""`fclocal call`: one prompt in, one call out as JSON, nothing run."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from fclocal.cli import options as opt


def call(
    ctx: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="What you want; piped stdin when left out.")] = None,
    model: opt.Model = None,
    functions: opt.Functions = None,
    tools: opt.Tools = None,
    mcp: opt.Mcp = None,
    builtin: opt.Builtin = None,
    system: opt.System = None,
    dialect: opt.Dialect = None,
    choice: opt.Choice = "auto",
    missing: opt.Missing = None,
    seed: opt.Seed = None,
    temperature: opt.Temperature = None,
    max_tokens: opt.MaxTokens = None,
    context: opt.Context = None,
    gpu_layers: opt.GpuLayers = "auto",
    adapter: opt.Adapter = None,
    print_prompt: opt.PrintPrompt = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
) -> None:
    """Print only the call, as one JSON line, and run nothing.

    Without --builtin, the built-in functions are offered only when no other functions are given. Exit code 5 means
    that the model answered in text, which is then on stderr.
    """
    from fclocal.cli.one_call import make_call, prompt_only  # deferred: loads the engine
    from fclocal.cli.rim import leave, run
    from fclocal.cli.words import TurnWords

    words = TurnWords.of(ctx.params)
    if not builtin:
        own = functions or tools or mcp
        words = replace(words, builtin=["none"] if own else ["default"])
    if print_prompt:
        leave(lambda: prompt_only(prompt, words, as_json=as_json))
    run(make_call(prompt, words, as_json=as_json))
