"""The async face of a loaded model: open, tokenize, generate, close. Knows no messages, functions or prompt formats."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from fclocal.engine.generation import Generation, Inbox
from fclocal.engine.owner import Options, Owner
from fclocal.engine.pieces import Pieces
from fclocal.engine.request import Request
from fclocal.engine.scheduler import Job, Scheduler
from fclocal.errors import FclocalError, UsageError
from fclocal.native.binding import Model, Override, send_log
from fclocal.native.context import Context
from fclocal.native.gguf import Header

MAX_TOP_LOGPROBS = 20
T = TypeVar("T")


class Engine:
    """A model in memory and the thread that owns it. An async context manager; leaving it ends every generation.

    Tokenizing is safe from any thread while others generate: llama.cpp never writes to a vocabulary after loading.
    """

    def __init__(self, owner: Owner, model: Model, context: int) -> None:
        self._owner = owner
        self._model = model
        self._vocabulary = model.vocabulary
        self._pieces = Pieces(model.vocabulary)
        self._context = context
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        context: int | None = None,
        gpu_layers: int = -1,
        sequences: int = 1,
        threads: int | None = None,
        kv_type: str = "f16",
        adapters: Sequence[tuple[Path, float]] = (),
        kv_overrides: Mapping[str, Override] | None = None,
        mmap: bool = True,
        keep_prefixes: bool = True,
        progress: Callable[[float], None] | None = None,
        verbose: bool = False,
    ) -> Self:
        """Load the GGUF at `path`; cancelling the task cancels the load.

        `context` is the number of tokens that all sequences share (None: the trained one, at most 8192), `gpu_layers`
        -1 all, `adapters` LoRA files with their scales, `progress` is called with 0 to 1 on the event loop.
        `keep_prefixes` keeps the KV states of stable prompt prefixes in the cache folder. `verbose` shows llama.cpp's
        log on stderr. Raises ModelMissing, ModelBroken, OutOfMemory, UsageError.
        """
        if context is not None and context < 1:
            raise UsageError(f"A context of {context} tokens is impossible.", "Use at least 256.")
        if sequences < 1:
            raise UsageError(f"{sequences} sequences are impossible.", "Use at least 1.")
        if verbose:
            send_log(lambda text: print(text, end="", file=sys.stderr, flush=True))
        options = Options(
            path=path,
            context=context,
            gpu_layers=gpu_layers,
            sequences=sequences,
            threads=threads,
            kv_type=kv_type,
            adapters=tuple(adapters),
            overrides=dict(kv_overrides or {}),
            mmap=mmap,
            keep_prefixes=keep_prefixes,
        )
        owner = Owner(options, progress=_on_loop(progress))
        try:
            model, size = await asyncio.wrap_future(owner.loaded)
        except BaseException:
            owner.end()
            await asyncio.shield(asyncio.wrap_future(owner.finished))
            raise
        return cls(owner, model, size)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every generation, free the model and wait until that is done."""
        self._closed = True
        self._owner.end()
        await asyncio.shield(asyncio.wrap_future(self._owner.finished))

    # Facts of the model

    @property
    def path(self) -> Path:
        """The weights file."""
        return self._model.path

    @property
    def header(self) -> Header:
        """The GGUF header: metadata and tensors."""
        return self._model.header

    @property
    def description(self) -> str:
        """For example `llama 1B Q4_K - Medium`."""
        return self._model.description

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture."""
        return self._model.header.architecture

    @property
    def context(self) -> int:
        """Tokens of context, shared by all sequences."""
        return self._context

    @property
    def trained_context(self) -> int:
        """Tokens of context that the model was trained for."""
        return self._model.trained_context

    @property
    def sequences(self) -> int:
        """How many generations run at once; more wait their turn."""
        return self._owner.options.sequences

    @property
    def chat_template(self) -> str:
        """The model's own Jinja template, or an empty string."""
        return self._model.header.text("tokenizer.chat_template")

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens."""
        return self._vocabulary.size

    @property
    def eos(self) -> str:
        """Text of the end-of-sequence token, or an empty string."""
        return self.token_text(self._vocabulary.eos)

    @property
    def end_tokens(self) -> frozenset[int]:
        """The model's own end tokens; each of them ends a reply."""
        return self._vocabulary.end_tokens

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """How the tokens are written that are never a part of ordinary text: control tokens, `<tool_call>` and the
        like."""
        return frozenset(piece.decode("utf-8", "replace") for piece in self._pieces.special.values()) - {""}

    def bos(self) -> tuple[int, ...]:
        """What a prompt begins with: the begin token if the model wants one."""
        return (self._vocabulary.bos,) if self._vocabulary.add_bos and self._vocabulary.bos >= 0 else ()

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return self._model.header.weight_bytes

    # Tokens

    def tokenize(self, text: str, *, special: bool) -> tuple[int, ...]:
        """Token ids of `text` without begin and end tokens; with `special`, control tokens in the text are control
        tokens."""
        self._refuse_closed()
        return tuple(self._vocabulary.tokenize(text, special=special))

    def detokenize(self, tokens: Iterable[int]) -> bytes:
        """The bytes of `tokens`, control tokens as their text. They need not be whole UTF-8 characters."""
        return b"".join(self._piece(token) for token in tokens)

    def token_text(self, token: int) -> str:
        """The text of one token, an empty string when there is no such token."""
        return self._piece(token).decode("utf-8", "replace") if 0 <= token < self.vocabulary_size else ""

    def _refuse_closed(self) -> None:
        """A freed vocabulary would end the process."""
        if self._closed:
            raise FclocalError(f"The engine of {self.path.name} is closed.", "Use it while it is open.")

    def _piece(self, token: int) -> bytes:
        self._refuse_closed()
        if not 0 <= token < self.vocabulary_size:
            raise UsageError(f"There is no token {token}.", f"This model has {self.vocabulary_size:,}.")
        return self._pieces.piece(token)

    # Generating

    def generate(self, request: Request, *, stop_tokens: frozenset[int] = frozenset()) -> Generation:
        """Begin a generation; `stop_tokens` end the reply beside the model's own end tokens.

        The steps come from iterating over it: Prefilled while the prompt is read, Decoded, and Stopped. A prompt that
        does not fit raises ContextFull there. Raises UsageError for values out of range.
        """
        _check(request, stop_tokens, self.vocabulary_size)
        inbox = Inbox()
        job = Job(request, self.end_tokens | stop_tokens, inbox)
        if not self._owner.post(partial(Scheduler.add, job=job)):
            raise FclocalError(f"The engine of {self.path.name} is closed.")
        return Generation(self._owner, inbox, job)

    async def on_owner(self, function: Callable[[Context], T]) -> T:
        """Run `function` on the owner thread between two decodes, with its context and no KV memory in use by idle
        sequences (for measurements). Raises FclocalError when the engine is closed."""
        answer: Future[T] = Future()
        if not self._owner.post(partial(_answer, function, answer)):
            raise FclocalError(f"The engine of {self.path.name} is closed.")
        return await asyncio.wrap_future(answer)


def _answer(function: Callable[[Context], T], answer: Future[T], scheduler: Scheduler) -> None:
    try:
        answer.set_result(scheduler.lend(function))
    except Exception as error:
        answer.set_exception(error)


def _on_loop(progress: Callable[[float], None] | None) -> Callable[[float], None] | None:
    """Report on the event loop, at most once per hundredth."""
    if progress is None:
        return None
    loop = asyncio.get_running_loop()
    last = -1

    def report(done: float) -> None:
        nonlocal last
        if int(done * 100) != last:
            last = int(done * 100)
            loop.call_soon_threadsafe(progress, done)

    return report


def _check(request: Request, stop_tokens: frozenset[int], vocabulary: int) -> None:
    sampling = request.sampling
    numbers = [sampling.temperature, sampling.top_p, sampling.min_p, sampling.repeat_penalty]
    numbers += [sampling.frequency_penalty, sampling.presence_penalty, *sampling.logit_bias.values()]
    if not all(math.isfinite(number) for number in numbers):
        raise UsageError("A sampling option is not a finite number.")
    if sampling.repeat_penalty <= 0:
        raise UsageError(f"A repeat penalty of {sampling.repeat_penalty} is impossible.", "1 turns it off.")
    if not request.prompt:
        raise UsageError("The prompt is empty.", "Say something.")
    if request.max_tokens < 1:
        raise UsageError(f"{request.max_tokens} tokens cannot hold a reply.", "Use --max-tokens 1 or more.")
    if not 0 <= request.top_logprobs <= MAX_TOP_LOGPROBS:
        raise UsageError(f"{request.top_logprobs} alternatives cannot be given.", f"0 to {MAX_TOP_LOGPROBS} can.")
    for tokens in (request.prompt, sampling.logit_bias, stop_tokens):
        wrong = next((token for token in tokens if not 0 <= token < vocabulary), None)
        if wrong is not None:
            raise UsageError(f"There is no token {wrong}.", f"This model has {vocabulary:,}.")
