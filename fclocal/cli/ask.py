"""Questions to the person at the terminal: may this call run, what is the missing value."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fclocal.chat.decide import Answer, ApprovalNeeded, ArgumentMissing, Decision, Waiting
from fclocal.chat.grounding import coerce
from fclocal.chat.receipt import call_json, origin_words, plain
from fclocal.cli.rim import say
from fclocal.functions import Json
from fclocal.grammar.check import Problem, check, parse_arguments


async def ask(waiting: Waiting) -> Decision | Answer:
    """Ask on the terminal. An empty or closed input means no."""
    match waiting:
        case ApprovalNeeded():
            return _approve(waiting)
        case ArgumentMissing():
            return _complete(waiting)


def read_line(prompt: str) -> str | None:
    """One line from the terminal, None at its end. Ctrl-C interrupts, also inside an event loop."""
    with _interruptible():
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _approve(waiting: ApprovalNeeded) -> Decision:
    arguments: Mapping[str, Json] = waiting.call.arguments
    edited: Mapping[str, Json] | None = None
    say(f"{'allow?':<9}{waiting.call.name} ({waiting.effect}; {waiting.why})")
    for name, value in arguments.items():
        origin = waiting.origins.get(name)
        where = f"  {origin_words(origin)}" if origin else ""
        say(f"{'':<9}{name} = {json.dumps(plain(value), ensure_ascii=False)}{where}")
    while True:
        word = (read_line("         [y]es, [a]lways in this session, [e]dit, [N]o: ") or "n").strip().lower()
        if word in ("y", "yes"):
            return Decision(allow=True, arguments=edited)
        if word in ("a", "always"):
            return Decision(allow=True, remember=True, arguments=edited)
        if word in ("e", "edit"):
            edited = _edit(waiting, edited or arguments) or edited
            continue
        if word in ("n", "no", ""):
            reason = read_line("         Why not? (goes to the model, may be empty) ") or ""
            return Decision(allow=False, reason=reason.strip() or "The user said no.")


def _edit(waiting: ApprovalNeeded, arguments: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """New arguments as JSON, valid against the schema, or None to leave them."""
    say(f"{'':<9}{json.dumps(plain(arguments), ensure_ascii=False)}")
    line = read_line("         New arguments as JSON (empty leaves them): ")
    if not line or not line.strip():
        return None
    given = parse_arguments(line)
    problems = (given,) if isinstance(given, Problem) else check(given, waiting.function.parameters)
    if problems or isinstance(given, Problem):
        say(f"{'':<9}{problems[0].sentence}")
        return None
    return given


def _complete(waiting: ArgumentMissing) -> Answer:
    say(f"{'missing':<9}{waiting.call.name} needs {waiting.argument}; nobody gave it. {call_json(waiting.call)}")
    while True:
        line = read_line(f"         {waiting.question} ")
        if line is None or not line.strip():
            return Answer(None, given=False)
        value = coerce(line, waiting.schema)
        if not isinstance(value, Problem):
            return Answer(value)
        say(f"{'':<9}{value.sentence}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """asyncio swallows the first Ctrl-C; while a person is asked, it must end the wait."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
