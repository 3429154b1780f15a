"""The Python face: describe functions, open a model, talk to it, or get one call."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from fclocal.chat.decide import Answer, ApprovalNeeded, ArgumentMissing, Decide, Decision, Missing, Waiting, nobody
from fclocal.chat.reply import MAX_CALLS, ReplyRequest, reply
from fclocal.chat.session import Session
from fclocal.chat.turn import TurnSettings
from fclocal.engine.request import Sampling
from fclocal.errors import FclocalError, NoCall, UsageError
from fclocal.events import CallReady, Receipt, TextDelta
from fclocal.functions import Function, Json, from_json, refuse_duplicates
from fclocal.grammar.calls import Choice, NamedChoice
from fclocal.messages import FunctionCall, SystemMessage, UserMessage
from fclocal.runtime import Options, Runtime, open_runtime
from fclocal.tools.python import PythonFunctions, function
from fclocal.tools.toolset import Proposed, Toolset, functions_in

__all__ = [
    "Answer",
    "ApprovalNeeded",
    "ArgumentMissing",
    "Call",
    "Decision",
    "FclocalError",
    "NoCall",
    "Talk",
    "call",
    "function",
    "open_model",
]

# A Python function, which may run; or one that is only described, as a value or as JSON (an OpenAI tool, the card's
# metadata), which is only proposed.
Described: TypeAlias = Callable[..., object] | Function | Mapping[str, Json]
Callables: TypeAlias = Described | Sequence[Described]
# What `decide` may be: a function or a coroutine function. A plain True or False answers ApprovalNeeded.
Deciding: TypeAlias = Callable[[Waiting], Decision | Answer | bool | Awaitable[Decision | Answer | bool]]


MAX_TEMPERATURE = 10
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Call:
    """One call and its receipt."""

    call: FunctionCall
    receipt: Receipt

    @property
    def name(self) -> str:
        return self.call.name

    @property
    def arguments(self) -> dict[str, object]:
        return dict(self.call.arguments)


class Talk:
    """A loaded model. `session` begins a conversation with it, `call` asks it for one call."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def session(
        self,
        *,
        system: str | None = None,
        decide: Deciding = nobody,
        missing: Missing = "ask",
        choice: str = "auto",
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 1024,
    ) -> Session:
        """A new conversation: `async for event in session.send("...")`.

        `decide`, a function or a coroutine function, answers ApprovalNeeded with a Decision and ArgumentMissing with
        an Answer; without it nothing runs that needs a permission. Raises UsageError for values out of range.
        """
        if missing not in ("ask", "warn", "off"):
            raise UsageError(f"missing={missing!r} is not known.", "Use one of: ask, warn, off.")
        request = _request(choice, temperature, seed, max_tokens, MAX_CALLS)
        runtime = self.runtime
        settings = TurnSettings(request, missing=missing)
        return Session(
            runtime.model, runtime.toolset, runtime.policy, settings=settings, system=system, decide=_checked(decide)
        )

    async def call(
        self,
        prompt: str,
        *,
        system: str | None = None,
        choice: str = "auto",
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 1024,
    ) -> Call:
        """One call for `prompt`; runs nothing. Raises NoCall when the model answers in text, UsageError for an empty
        prompt, values out of range, and when there is no function to call."""
        if not prompt.strip():
            raise UsageError("The prompt is empty.", "Say what you want.")
        said = UserMessage(prompt)
        request = replace(
            _request(choice, temperature, seed, max_tokens, 1),
            messages=(SystemMessage(system), said) if system else (said,),
            functions=await functions_in(self.runtime.toolset),
        )
        if not request.functions:
            raise UsageError("There is no function to call.", "Give open_model or call some functions.")
        text = ""
        async with aclosing(reply(self.runtime.model, request)) as events:
            async for event in events:
                match event:
                    case TextDelta(text=more):
                        text += more
                    case CallReady(call=made, receipt=receipt):
                        return Call(made, receipt)
        raise NoCall(text, "" if choice == "none" else 'Try choice="required".')


@asynccontextmanager
async def open_model(
    model: str | None = None,
    *,
    functions: Callables = (),
    builtin: Sequence[str] = ("none",),
    dialect: str | None = None,
    context: int | None = None,
    gpu_layers: int | None = None,
    tools: Sequence[Path] = (),
) -> AsyncIterator[Talk]:
    """Load a model (default: the user's, else the built-in starter) with the functions it may call.

    `functions` are Python functions, which may run, or descriptions (`Function` values, OpenAI tools, metadata), which
    are only proposed. Raises ModelMissing, ModelBroken, OutOfMemory, UsageError; all of them are FclocalError.
    """
    own = _toolsets(functions)
    options = Options(
        model=model,
        dialect=dialect,
        builtin=tuple(builtin),
        context=context,
        gpu_layers=gpu_layers,
        tools=tuple(tools),
    )
    async with open_runtime(options, toolsets=own) as runtime:
        yield Talk(runtime)


async def call(
    prompt: str, functions: Callables, *, model: str | None = None, choice: str = "auto", system: str | None = None
) -> Call:
    """One call for `prompt` out of `functions`, in one line: `made = await call("...", [weather])`."""
    async with open_model(model, functions=functions) as talk:
        return await talk.call(prompt, choice=choice, system=system)


def _toolsets(functions: Callables) -> list[Toolset]:
    """Functions that may run, and those that are only described. Raises UsageError for what is neither."""
    given = functions if isinstance(functions, Sequence) and not isinstance(functions, str) else (functions,)
    described: list[Function] = []
    runnable: list[Callable[..., object]] = []
    for item in given:
        if isinstance(item, Function):
            described.append(item)
        elif isinstance(item, Mapping):
            described.append(from_json(item, origin="functions"))
        elif callable(item):
            runnable.append(item)
        else:
            raise UsageError(f"{item!r} is not a function.", "Give Python functions, or descriptions as JSON objects.")
    refuse_duplicates(described, origin="functions")
    own: list[Toolset] = [Proposed(tuple(described), "python")] if described else []
    return [*own, PythonFunctions(runnable)] if runnable else own


def _checked(decide: Deciding) -> Decide:
    """`decide` as the turn calls it. It raises UsageError for an answer that does not fit what was asked."""

    async def asked(waiting: Waiting) -> Decision | Answer:
        answer = decide(waiting)
        found = await answer if inspect.isawaitable(answer) else answer
        wanted = Decision if isinstance(waiting, ApprovalNeeded) else Answer
        if wanted is Decision and isinstance(found, bool):
            return Decision(allow=found)
        if isinstance(found, wanted):
            return found
        kind = type(waiting).__name__
        raise UsageError(f"decide answered {kind} with {found!r}.", f"Answer it with fclocal.{wanted.__name__}(...).")

    return asked


def _request(choice: str, temperature: float, seed: int, max_tokens: int, max_calls: int) -> ReplyRequest:
    if not 0 <= temperature <= MAX_TEMPERATURE:
        raise UsageError(f"temperature={temperature} is out of range.", f"Use 0 to {MAX_TEMPERATURE}.")
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed={seed} is out of range.", f"Use 0 to {MAX_SEED}.")
    if max_tokens < 1:
        raise UsageError(f"max_tokens={max_tokens} cannot hold a reply.", "Use 1 or more.")
    wanted: Choice = choice if choice in ("auto", "required", "none") else NamedChoice(choice)  # type: ignore[assignment]  # narrowed by the test
    sampling = Sampling(temperature=temperature, seed=seed)
    return ReplyRequest((), choice=wanted, max_calls=max_calls, sampling=sampling, max_tokens=max_tokens)
