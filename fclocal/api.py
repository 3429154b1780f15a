"""The Python face: describe functions, open a model, talk to it, or get one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from fclocal.chat.decide import Answer, ApprovalNeeded, ArgumentMissing, Decide, Decision, Missing, nobody
from fclocal.chat.reply import MAX_CALLS, ReplyRequest, reply
from fclocal.chat.session import Session
from fclocal.chat.turn import TurnSettings
from fclocal.engine.request import Sampling
from fclocal.errors import NoCall
from fclocal.events import CallReady, Receipt, TextDelta
from fclocal.functions import Function
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
    "Talk",
    "call",
    "function",
    "open_model",
]

Callables: TypeAlias = Sequence[Callable[..., object] | Function]


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
        decide: Decide = nobody,
        missing: Missing = "ask",
        choice: str = "auto",
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 1024,
    ) -> Session:
        """A new conversation: `async for event in session.send("...")`.

        `decide` answers ApprovalNeeded with a Decision and ArgumentMissing with an Answer; without it nothing runs
        that needs a permission.
        """
        request = _request(choice, temperature, seed, max_tokens, MAX_CALLS)
        runtime = self.runtime
        settings = TurnSettings(request, missing=missing)
        return Session(runtime.model, runtime.toolset, runtime.policy, settings=settings, system=system, decide=decide)

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
        """One call for `prompt`; runs nothing. Raises NoCall when the model answers in text."""
        said = UserMessage(prompt)
        request = replace(
            _request(choice, temperature, seed, max_tokens, 1),
            messages=(SystemMessage(system), said) if system else (said,),
            functions=await functions_in(self.runtime.toolset),
        )
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

    `functions` are Python functions, which may run, or `Function` values, which are only proposed. Raises
    ModelMissing, ModelBroken, OutOfMemory, UsageError.
    """
    options = Options(
        model=model,
        dialect=dialect,
        builtin=tuple(builtin),
        context=context,
        gpu_layers=gpu_layers,
        tools=tuple(tools),
    )
    described = tuple(item for item in functions if isinstance(item, Function))
    runnable = [item for item in functions if not isinstance(item, Function)]
    own: list[Toolset] = [Proposed(described, "python")] if described else []
    if runnable:
        own.append(PythonFunctions(runnable))
    async with open_runtime(options, toolsets=own) as runtime:
        yield Talk(runtime)


async def call(
    prompt: str, functions: Callables, *, model: str | None = None, choice: str = "auto", system: str | None = None
) -> Call:
    """One call for `prompt` out of `functions`, in one line: `made = await call("...", [weather])`."""
    async with open_model(model, functions=functions) as talk:
        return await talk.call(prompt, choice=choice, system=system)


def _request(choice: str, temperature: float, seed: int, max_tokens: int, max_calls: int) -> ReplyRequest:
    wanted: Choice = choice if choice in ("auto", "required", "none") else NamedChoice(choice)  # type: ignore[assignment]  # narrowed by the test
    sampling = Sampling(temperature=temperature, seed=seed)
    return ReplyRequest((), choice=wanted, max_calls=max_calls, sampling=sampling, max_tokens=max_tokens)
