"""`fclocal show NAME`: everything about one model, on this machine or only in the catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from fclocal.cli.options import AsJson, gpu_layers
from fclocal.cli.progress import ProgressLine
from fclocal.cli.rim import leave
from fclocal.cli.tables import emit, fit_json, machine, tell
from fclocal.errors import FclocalError, ModelMissing, UsageError
from fclocal.escapes import visible
from fclocal.models.catalog import Entry, load_catalog
from fclocal.models.fit import KV_BYTES, Fit, Machine, gb, plan, sizes_of
from fclocal.models.listing import catalog_rows
from fclocal.models.names import CatalogName, HubRepo, ModelSource, parse_name, resolve
from fclocal.models.progress import Progress
from fclocal.models.quants import bits_per_weight
from fclocal.models.store import Store

CONTEXTS = (2048, 4096, 8192, 16_384, 32_768)


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, owner/repo, or a path.")],
    context: Annotated[int | None, typer.Option("--context", min=64, help="Plan memory for this length.")] = None,
    kv_type: Annotated[
        str, typer.Option("--kv-type", metavar="|".join(KV_BYTES), help="Type of the KV cache.")
    ] = "f16",
    layers: Annotated[str, typer.Option("--gpu-layers", metavar="auto|all|N", help="Layers on the GPU.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Show one model: header, memory plan, licence, dialect, chat template, sha256."""

    def command() -> None:
        known, store = load_catalog(), Store()
        tell(known.problems)
        wanted_layers = gpu_layers(layers)
        try:
            source = resolve(name, known, store)
        except ModelMissing:
            reference = parse_name(name)
            entry = known.find(reference.name) if isinstance(reference, CatalogName) else None
            entry = known.with_repo(reference.repo) if isinstance(reference, HubRepo) else entry
            if entry is None:
                raise
            _show_entry(entry, store, as_json=as_json)
            return
        here = machine()
        with ProgressLine() as progress:
            sha256 = store.file_sha256(
                source.path, progress=lambda done, total: progress(Progress(source.path.name, "checking", done, total))
            )
        plans = _plans(source, here, context, kv_type, wanted_layers)
        facts = _facts(source, sha256)
        if as_json:
            template = {"chat_template": source.chat_template or None}
            emit(facts | template | {"plans": [fit_json(fit) | _measured(source, fit) for fit in plans]})
            return
        _print_facts(facts)
        for fit in plans:
            print(f"  {visible(fit.sentence)}")
        tell(source.notes)
        if source.chat_template:
            print("chat template:")
            print(visible(source.chat_template))

    leave(command)


def _plans(
    source: ModelSource, here: Machine, context: int | None, kv_type: str, layers: int | None
) -> tuple[Fit, ...]:
    if kv_type not in KV_BYTES:
        raise UsageError(f"--kv-type {kv_type!r} is not known.", f"Use one of: {', '.join(KV_BYTES)}.")
    sizes = sizes_of(source.header, source.facts)
    lengths = (
        [context] if context else sorted({*(n for n in CONTEXTS if n < sizes.context), min(sizes.context, 131_072)})
    )
    return tuple(plan(sizes, here, context=length, kv_type=kv_type, gpu_layers=layers) for length in lengths)


def _measured(source: ModelSource, fit: Fit) -> dict[str, object]:
    """What llama.cpp itself plans for the same context, or why it does not."""
    from fclocal.native.probe import measure  # deferred: only for --json

    try:
        found = measure(source.path, context=fit.context, kv_type=fit.kv_type, gpu_layers=fit.gpu_layers)
    except FclocalError as error:
        return {"measured": None, "measured_fault": error.sentence}
    return {"measured": {"kv": found.kv, "compute": dict(found.compute), "output": found.output}}


def _facts(source: ModelSource, sha256: str) -> dict[str, object]:
    from fclocal.runtime import speak  # deferred: brings the engine along

    header, facts, entry = source.header, source.facts, source.entry
    dialect, notices = speak(None, source)
    link = str(entry.licence_url or "") if entry else header.text("general.license.link")
    return {
        "name": source.name,
        "path": str(source.path),
        "files": len(source.shards),
        "size": header.file_size,
        "sha256": sha256,
        "quant": source.quant,
        "bits_per_weight": round(bits_per_weight(header), 2),
        "parameters": header.parameters,
        "architecture": facts.architecture,
        "model": header.text("general.name") or None,
        "layers": facts.layers,
        "embedding": facts.embedding,
        "heads": facts.heads,
        "kv_heads": max(facts.kv_heads, default=0),
        "context": facts.context,
        "vocabulary": facts.vocabulary,
        "licence": entry.licence if entry else header.text("general.license") or None,
        "licence_url": link or None,
        "dialect": dialect.name,
        "dialect_from": "catalog" if entry else "file" if source.dialect else "default" if notices else "chat template",
        "layout": source.layout,
        "stop": list(source.stop),
        "overrides": dict(source.overrides),
        "notes": [*source.notes, *notices],
    }


def _print_facts(facts: Mapping[str, object]) -> None:
    for key, value in facts.items():
        if key == "notes" or value in (None, [], {}):
            continue
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if key == "size" and isinstance(value, int):
            shown = f"{value:,} bytes ({gb(value)})"
        if key == "parameters" and isinstance(value, int):
            shown = f"{value / 1e9:.2f} billion" if value >= 1e8 else f"{value / 1e6:.1f} million"
        print(visible(f"{key.replace('_', ' '):<16} {shown}"))
    print("memory:")


def _show_entry(entry: Entry, store: Store, *, as_json: bool) -> None:
    """An entry that is not on this machine."""
    row = next(row for row in catalog_rows(load_catalog(), store, machine()) if row.entry.id == entry.id)
    if as_json:
        emit(row.json())
        return
    facts = row.json() | {"files": [file.name for file in entry.files], "size": gb(row.size) if row.size else None}
    for key, value in facts.items():
        if key != "notes" and value not in (None, [], "", False):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else "yes" if value is True else value
            print(visible(f"{key.replace('_', ' '):<16} {shown}"))
    tell(entry.notes)
    cure = f"fclocal import {entry.repo}" if entry.gguf == "convert" else f"fclocal pull {entry.id}"
    tell([f"Not on this machine. Try: {cure}"])
