"""The work of `fclocal call`, and of --print-prompt."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

from fclocal.chat.grounding import question
from fclocal.chat.offer import make_offer
from fclocal.chat.receipt import call_object, receipt_json
from fclocal.chat.reply import reply
from fclocal.cli.options import prompt_text
from fclocal.cli.rim import json_line, say
from fclocal.cli.trust import trust_of_terminal
from fclocal.cli.words import TurnWords, read_choice
from fclocal.dialects.dialect import prompt_text as spell
from fclocal.errors import ExitCode, NoCall, UsageError
from fclocal.events import CallReady, ReplyFinished, TextDelta
from fclocal.functions import Function
from fclocal.messages import Message, SystemMessage, UserMessage
from fclocal.runtime import choose, open_runtime, open_tools, settings
from fclocal.tools.toolset import functions_in


def messages_of(prompt: str, system: str | None) -> tuple[Message, ...]:
    """The first messages of a conversation."""
    said = UserMessage(prompt)
    return (SystemMessage(system), said) if system else (said,)


def prompt_only(prompt: str | None, words: TurnWords, *, as_json: bool) -> int:
    """Print the exact prompt without BOS and without an added newline, or as one JSON string."""
    text = prompt_text(prompt)
    if text is None:
        raise UsageError("--print-prompt needs a prompt.", 'Give one: fclocal chat "..." --print-prompt')
    config = settings()
    options = words.options()
    chosen = choose(options, config)
    choice = read_choice(words.choice)
    functions = asyncio.run(_functions(words))
    offer = make_offer(functions, choice)
    for notice in (*chosen.notices, *offer.notes):
        say(notice)
    offered = () if choice == "none" else offer.functions
    segments = chosen.dialect.render(messages_of(text, words.system), offered, eos=chosen.eos)
    if as_json:
        print(json_line(spell(segments)))
    else:
        sys.stdout.buffer.write(spell(segments).encode("utf-8", "replace"))
    sys.stdout.flush()
    return ExitCode.DONE


async def _functions(words: TurnWords) -> tuple[Function, ...]:
    async with AsyncExitStack() as stack:
        toolbox = await open_tools(words.options(), settings(), stack, trust=trust_of_terminal())
        return await functions_in(toolbox)


async def make_call(prompt: str | None, words: TurnWords, *, as_json: bool) -> int:
    """Generate one call and print it. Raises NoCall when the model answered in text."""
    text = prompt_text(prompt)
    if text is None:
        raise UsageError("call needs a prompt.", 'Give one: fclocal call "..." --functions FILE')
    async with open_runtime(words.options(), trust=trust_of_terminal()) as runtime:
        for notice in runtime.notices:
            say(notice)
        plan = words.settings(runtime.config, missing="warn", max_calls=1)
        functions = await functions_in(runtime.toolset)
        if not functions and words.choice != "none":
            raise UsageError("There is no function to call.", "Describe some with --functions FILE.")
        request = replace(plan.request, messages=messages_of(text, words.system), functions=functions)
        said = ""
        ready: CallReady | None = None
        async with aclosing(reply(runtime.model, request)) as events:
            async for event in events:
                match event:
                    case TextDelta(text=delta):
                        said += delta
                    case CallReady():
                        ready = event
                    case ReplyFinished(reason="length") if ready is None:
                        say("The reply was cut off at its limit; raise --max-tokens.")
        if ready is None:
            raise NoCall(said, "" if words.choice == "none" else "Try --choice required.")
        by_name = {function.name: function for function in functions}
        if plan.missing != "off":
            _report_unsupported(ready, by_name[ready.call.name], ask=plan.missing == "ask" and words.choice == "auto")
    value = call_object(ready.call)
    if as_json:
        value["receipt"] = receipt_json(ready.receipt)
    print(json_line(value), flush=True)
    return ExitCode.DONE


def _report_unsupported(ready: CallReady, function: Function, *, ask: bool) -> None:
    """Name the arguments that nobody gave; with --missing ask, the call is withheld and the question is the answer."""
    for name, origin in ready.receipt.origins.items():
        if origin.source != "unsupported":
            continue
        if ask and name in function.required:
            raise NoCall(question(function, name))
        say(f"{ready.call.name}: nobody said the value of {name}.")
