"""The only wiring: what the user asked for -> a loaded model, its functions and settings. Holds no logic of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fclocal import paths
from fclocal.chat.model import Model
from fclocal.chat.offer import make_offer
from fclocal.config import Config, read_config
from fclocal.dialects.dialect import Dialect
from fclocal.dialects.select import DEFAULT, from_template, pick
from fclocal.engine.engine import Engine
from fclocal.errors import NewerFile, UsageError
from fclocal.functions import Function, parse_functions
from fclocal.models.adapter_files import find_adapter
from fclocal.models.catalog import load_catalog
from fclocal.models.load_plan import here, plan_load, slow_notice
from fclocal.models.names import STARTER, ModelSource, resolve, starter_path
from fclocal.models.store import Store, hash_file
from fclocal.native.gguf import LongArray, read_array
from fclocal.tools.builtin import Builtins, expand
from fclocal.tools.gather import Toolbox
from fclocal.tools.policy import Policy
from fclocal.tools.python import PythonFile
from fclocal.tools.toolset import Proposed, Toolset, functions_in

if TYPE_CHECKING:
    from fclocal.tools.mcp.servers import Trust

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line or in Python. `gpu_layers` None means as many as fit, -1 all."""

    model: str | None = None
    dialect: str | None = None
    functions: tuple[Path, ...] = ()
    tools: tuple[Path, ...] = ()
    mcp: tuple[str, ...] = ()
    builtin: tuple[str, ...] = ("default",)
    context: int | None = None
    gpu_layers: int | None = None
    adapters: tuple[Path, ...] = ()
    sequences: int = 1
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model that was found but not loaded: enough to write its prompts. `notices` are for the user."""

    source: ModelSource
    dialect: Dialect
    notices: tuple[str, ...]

    @property
    def eos(self) -> str:
        """Text of the end-of-sequence token, read from the file."""
        header = self.source.header
        tokens = header.metadata.get("tokenizer.ggml.tokens")
        at = int(header.number("tokenizer.ggml.eos_token_id", -1))
        pieces = read_array(self.source.path, tokens) if isinstance(tokens, LongArray) else tokens
        return str(pieces[at]) if isinstance(pieces, tuple) and 0 <= at < len(pieces) else ""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A loaded model, the functions it may be offered, who decides what runs, and the settings."""

    model: Model
    chosen: Chosen
    toolset: Toolset
    policy: Policy
    config: Config
    notices: tuple[str, ...]


def settings() -> Config:
    """The user's settings."""
    return read_config(paths.config_folder() / "config.toml")


def choose(options: Options, config: Config) -> Chosen:
    """Find the model and its dialect without loading it. Raises ModelMissing, ModelBroken, UsageError."""
    catalog = load_catalog()
    store = Store()
    source = resolve(options.model or config.model or STARTER, catalog, store)
    dialect, notices = speak(options.dialect, source)
    return Chosen(source, dialect, (*catalog.problems, *source.notes, *notices, *_unread_index(source, store)))


def speak(wanted: str | None, source: ModelSource) -> tuple[Dialect, tuple[str, ...]]:
    """The dialect of a model: the wanted one, else the catalog's or the file's own, else what its chat template is
    known for, else the card's, which is then said. Raises UsageError for a dialect that does not exist."""
    name = wanted or source.dialect
    if name:
        layout = source.layout if name == source.dialect else None
        return pick(name, layout=layout, template=source.chat_template, metadata=source.header.metadata), ()
    known = from_template(source.chat_template, source.header.metadata)
    if known is not None:
        return known, ()
    return pick(DEFAULT), (f"{source.name} does not say how it wants calls: prompting it as {DEFAULT}.",)


def read_functions(files: tuple[Path, ...]) -> tuple[Function, ...]:
    """The functions of every file, in order. Raises UsageError naming the file."""
    functions: list[Function] = []
    described: dict[str, Path] = {}
    for file in files:
        try:
            text = file.read_text("utf-8")
        except OSError as error:
            raise UsageError(f"Cannot read {file}: {error.strerror}.", "Check the path.") from None
        except UnicodeDecodeError as error:
            raise UsageError(f"{file} is not UTF-8 (byte {error.start}).", "Convert it first.") from None
        for function in parse_functions(text, origin=str(file)):
            if earlier := described.get(function.name):
                raise UsageError(f"{earlier} and {file} both describe {function.name!r}.", "Rename or remove one.")
            described[function.name] = file
            functions.append(function)
    return tuple(functions)


@asynccontextmanager
async def open_model(chosen: Chosen, options: Options, *, progress: Progress | None = None) -> AsyncIterator[Model]:
    """Load the weights. Raises ModelBroken, OutOfMemory."""
    source, store = chosen.source, Store()
    fit = plan_load(source, here(), context=options.context, gpu_layers=options.gpu_layers)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            await Engine.open(
                source.path,
                context=options.context,
                gpu_layers=fit.gpu_layers,
                sequences=options.sequences,
                adapters=tuple((find_adapter(path, store), 1.0) for path in options.adapters),
                kv_overrides=source.overrides,
                progress=progress,
                verbose=options.verbose,
            )
        )
        digest = await asyncio.to_thread(_sha256, source, store)
        stop = tuple(dict.fromkeys((*chosen.dialect.stop, *source.stop)))
        store.mark_used(source.path)
        yield Model(source.name, engine, chosen.dialect, digest, source.quant, stop)


def _unread_index(source: ModelSource, store: Store) -> tuple[str, ...]:
    """A sentence when the built-in model, which needs no index, goes on beside one that a later version wrote."""
    try:
        store.check_index()
    except NewerFile as newer:
        return (str(newer),) if source.path == starter_path() else ()
    return ()


def _sha256(source: ModelSource, store: Store) -> str:
    try:
        return store.file_sha256(source.path)
    except NewerFile:
        if source.path != starter_path():
            raise
        return hash_file(source.path)


def _slow(chosen: Chosen, options: Options) -> tuple[str, ...]:
    """A sentence when the GPU cannot hold the whole model."""
    machine = here()
    if not machine.gpus:
        return ()
    fit = plan_load(chosen.source, machine, context=options.context, gpu_layers=options.gpu_layers)
    return tuple(filter(None, [slow_notice(fit, machine)]))


async def open_tools(
    options: Options,
    config: Config,
    stack: AsyncExitStack,
    *,
    own: Sequence[Toolset] = (),
    trust: Trust | None = None,
) -> Toolbox:
    """Every toolset that was asked for, and the caller's own, as one. `trust` may ask the user about MCP servers."""
    toolsets = list(own)
    functions = read_functions(options.functions)
    if functions:
        toolsets.append(Proposed(functions, ", ".join(map(str, options.functions))))
    for file in options.tools:
        if not file.is_file():
            raise UsageError(f"Cannot read {file}: there is no such file.", "Check the path.")
        toolsets.append(PythonFile(file, variables=config.tools.environment))
    names = expand(options.builtin)
    if names:
        toolsets.append(Builtins(names, config=config))
    if options.mcp:
        from fclocal.tools.mcp.servers import open_servers  # deferred: most conversations have no MCP server

        toolsets.append(await stack.enter_async_context(open_servers(options.mcp, trust=trust)))
    toolbox = Toolbox(toolsets)
    stack.push_async_callback(toolbox.close)
    return toolbox


@asynccontextmanager
async def open_runtime(
    options: Options,
    *,
    toolsets: Sequence[Toolset] = (),
    progress: Progress | None = None,
    trust: Trust | None = None,
) -> AsyncIterator[Runtime]:
    """Everything, ready to use; closed in reverse order. `toolsets` come before those that the options name."""
    config = settings()
    chosen = choose(options, config)
    slow = _slow(chosen, options)
    async with AsyncExitStack() as stack:
        toolbox = await open_tools(options, config, stack, own=toolsets, trust=trust)
        functions = await functions_in(toolbox)
        set_aside = make_offer(functions, "auto").notes if functions else ()
        model = await stack.enter_async_context(open_model(chosen, options, progress=progress))
        policy = Policy(mode=config.approval.mode, rules=config.approval.rules)
        notices = (*chosen.notices, *slow, *toolbox.notices, *set_aside)
        yield Runtime(model, chosen, toolbox, policy, config, notices)
