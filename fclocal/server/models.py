"""Which model answers: found by name, loaded on first use, switched when another is asked for, unloaded when idle.

One model is in memory at a time. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from fclocal.chat.model import Model
from fclocal.config import Config
from fclocal.errors import FclocalError, ModelMissing, UsageError
from fclocal.models.names import LocalFile, parse_name
from fclocal.runtime import Chosen, Options, choose
from fclocal.server.failures import CannotLoad

Opener: TypeAlias = Callable[[Chosen, Options], AbstractAsyncContextManager[Model]]
State: TypeAlias = Literal["unloaded", "loading", "ready"]
# What clients send when they mean whatever is there.
ANY_NAME = ("", "default")


@dataclass(slots=True)
class _Loaded:
    path: Path
    model: Model
    chosen: Chosen
    opened: AbstractAsyncContextManager[Model]
    users: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)


class Models:
    """The one model in memory and the way to others.

    `named` says that the default was named on the command line: then it answers for names that nothing here has.
    Without it they raise ModelMissing. `keep_alive` is in seconds, None for ever.
    """

    def __init__(
        self, options: Options, config: Config, *, opener: Opener, named: bool, keep_alive: float | None
    ) -> None:
        self.state: State = "unloaded"
        self.problem = ""
        self._options = options
        self._config = config
        self._opener = opener
        self._named = named
        self._keep_alive = keep_alive
        self._door = asyncio.Lock()
        self._loaded: _Loaded | None = None
        self._default: Chosen | None = None
        self._idle: asyncio.Task[None] | None = None

    @property
    def loaded(self) -> Model | None:
        """The model in memory."""
        return self._loaded.model if self._loaded else None

    def default(self) -> Chosen:
        """The model that answers when none is named. Raises ModelMissing, ModelBroken, UsageError."""
        if self._default is None:
            self._default = choose(self._options, self._config)
        return self._default

    async def find(self, name: str | None) -> Chosen:
        """The model that `name` means, not loaded. Paths are not looked at. Raises ModelMissing, ModelBroken."""
        wanted = (name or "").strip().removesuffix(":latest")
        default = await asyncio.to_thread(self.default)
        if wanted in (*ANY_NAME, default.source.name, self._options.model):
            return default
        try:
            if isinstance(parse_name(wanted), LocalFile):
                raise ModelMissing(f"No model {wanted[:120]!r}.", "Files are named on the command line only.")
            found = choose(replace(self._options, model=wanted), self._config)
        except (ModelMissing, UsageError) as error:
            if self._named:
                return default
            raise ModelMissing(error.sentence, error.cure) from None
        return found

    @asynccontextmanager
    async def lease(self, chosen: Chosen, *, keep_alive: float | None = None) -> AsyncIterator[Model]:
        """`chosen` in memory for as long as the context lasts; `keep_alive` overrides how long it stays afterwards.

        Waits until the leases of another model end. Raises CannotLoad.
        """
        async with self._door:
            self._stop_idling()
            loaded = self._loaded
            if loaded is None or loaded.path != chosen.source.path:
                if loaded and loaded.users:
                    await loaded.free.wait()
                await self._unload()
                loaded = await self._load(chosen)
            loaded.users += 1
            loaded.free.clear()
        try:
            yield loaded.model
        finally:
            loaded.users -= 1
            if not loaded.users:
                loaded.free.set()
                self._idle_soon(self._keep_alive if keep_alive is None else keep_alive)

    async def aclose(self) -> None:
        """Unload; replies that are under way end as cancelled."""
        self._stop_idling()
        await self._unload()

    async def _load(self, chosen: Chosen) -> _Loaded:
        opened = self._opener(chosen, self._options)
        self.state = "loading"
        try:
            model = await opened.__aenter__()
        except FclocalError as error:
            self.problem = error.sentence
            raise CannotLoad(f"{chosen.source.name} could not be loaded: {error.sentence}", error.cure) from error
        finally:
            self.state = "unloaded"
        self.state, self.problem = "ready", ""
        self._loaded = _Loaded(chosen.source.path, model, chosen, opened)
        return self._loaded

    async def _unload(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded:
            self.state = "unloaded"
            await loaded.opened.__aexit__(None, None, None)

    def _idle_soon(self, seconds: float | None) -> None:
        self._stop_idling()
        if seconds is not None and seconds >= 0 and self._loaded:
            self._idle = asyncio.create_task(self._unload_after(seconds))

    def _stop_idling(self) -> None:
        if self._idle and self._idle is not asyncio.current_task():
            self._idle.cancel()
        self._idle = None

    async def _unload_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        async with self._door:
            if self._loaded and not self._loaded.users:
                await self._unload()
