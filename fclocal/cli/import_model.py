"""`fclocal import`: a safetensors checkpoint becomes a quantized GGUF, a PEFT adapter a GGUF adapter."""

from __future__ import annotations

from typing import Annotated

import typer

from fclocal.cli.options import AsJson
from fclocal.cli.rim import leave, say


def import_model(
    source: Annotated[str, typer.Argument(metavar="PATH|REPO", help="A folder, owner/repo, or a name of the catalog.")],
    quant: Annotated[str, typer.Option("--quant", metavar="LABEL", help="Quantization to make.")] = "Q4_K_M",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it (default: the source's).")] = "",
    base: Annotated[
        str, typer.Option("--base", metavar="NAME|PATH", help="An adapter's base model (default: what it names).")
    ] = "",
    dialect: Annotated[str, typer.Option("--dialect", metavar="NAME", help="Prompt format to write into it.")] = "",
    pre: Annotated[str, typer.Option("--pre", metavar="NAME", help="How its BPE splits text, if not recognised.")] = "",
    revision: Annotated[str, typer.Option("--revision", metavar="REV", help="Branch, tag or commit.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Make it again when it is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it, say the size, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a Llama-architecture checkpoint (safetensors) into a quantized GGUF, or a PEFT LoRA into a GGUF adapter."""

    def command() -> None:
        from fclocal.cli.importing import Wanted, run  # deferred: numpy, gguf and the Hub client are slow to import

        wanted = Wanted(source, quant, name, base, dialect, pre, revision, force=force, dry_run=dry_run)
        found = run(wanted)
        if as_json:
            from fclocal.cli.tables import emit  # deferred: only for --json

            emit(found.json())
            return
        say(found.sentence)
        print(found.path if found.path else found.size)

    leave(command)
