"""`fclocal chat`: one turn with a prompt or piped stdin, else a conversation line by line."""

from __future__ import annotations

from typing import Annotated

import typer

from fclocal.cli import options as opt


def chat(
    ctx: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(help="What you want; piped stdin or a conversation without it.")
    ] = None,
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
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="SESSION|last", help="Go on with a stored conversation.")
    ] = None,
    print_prompt: opt.PrintPrompt = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
) -> None:
    """Chat with a model that calls functions; the answer goes to stdout, the story to stderr.

    Calls are shown before anything runs, and run only if you or a rule allow it; functions that only compute need no
    permission. Without a prompt: a conversation, one line a message.
    """
    from fclocal.cli.conversation import chat_once_or_on  # deferred: loads the engine
    from fclocal.cli.one_call import prompt_only
    from fclocal.cli.rim import leave
    from fclocal.cli.words import TurnWords

    words = TurnWords.of(ctx.params)
    if print_prompt:
        leave(lambda: prompt_only(prompt, words, as_json=as_json))
    leave(lambda: chat_once_or_on(prompt, words, resume=resume, as_json=as_json))
