"""`fclocal serve`: the local endpoint that OpenAI, llama.cpp, Anthropic and Ollama clients speak."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fclocal.cli import options as opt


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than loopback need a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", metavar="FILE", help="File (mode 0600) with the key; or set FCLOCAL_API_KEY."),
    ] = None,
    keep_alive: Annotated[
        str, typer.Option("--keep-alive", metavar="TIME", help="How long an idle model stays loaded: 300, 5m, 1h, -1.")
    ] = "5m",
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Replies generated at once.")] = 4,
    queue: Annotated[int, typer.Option("--queue", min=0, max=4096, help="Requests that may wait.")] = 16,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="text|json", help="Form of the log on stderr.")
    ] = "text",
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
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
) -> None:
    """Serve on 127.0.0.1:8080 what clients of OpenAI, llama.cpp, Anthropic and Ollama ask for.

    Functions run in the clients, never here; those given with --functions, --tools, --mcp or --builtin are shown on the
    page at / and at /fclocal/functions for clients to fetch. With --json, the address and the model are one JSON value
    on stdout as soon as clients can connect.
    """
    from fclocal.cli.rim import run  # deferred: loads FastAPI and the engine
    from fclocal.cli.serving import Words, serve_words
    from fclocal.cli.words import TurnWords

    turn = TurnWords(
        model=model,
        functions=functions,
        tools=tools,
        mcp=mcp,
        builtin=builtin or (["none"] if functions or tools or mcp else ["default"]),
        system=system,
        dialect=dialect,
        choice=choice,
        missing=missing,
        seed=seed,
        temperature=temperature,
        max_tokens=max_tokens,
        context=context,
        gpu_layers=gpu_layers,
        adapter=adapter,
        verbose=verbose,
    )
    words = Words(
        turn=turn,
        host=host,
        port=port,
        api_key_file=api_key_file,
        keep_alive=keep_alive,
        parallel=parallel,
        queue=queue,
        log_format=log_format,
        as_json=as_json,
    )
    run(serve_words(words))
