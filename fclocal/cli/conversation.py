"""The work of `fclocal chat`: one turn, or a conversation in the terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager

from fclocal.chat.decide import nobody
from fclocal.chat.session import Session
from fclocal.chat.store import Sessions
from fclocal.chat.stored import StoredSession
from fclocal.chat.turn import Recorder
from fclocal.cli.ask import ask, read_line
from fclocal.cli.options import prompt_text
from fclocal.cli.rim import json_line, say
from fclocal.cli.story import Story, is_terminal
from fclocal.cli.trust import trust_of_terminal
from fclocal.cli.words import TurnWords
from fclocal.errors import DiskError, ExitCode, FclocalError, UsageError
from fclocal.runtime import open_runtime
from fclocal.tools.toolset import functions_in

GREETING = "Type a message and press Enter; Ctrl-C stops a reply, Ctrl-D or /quit ends the chat."


def chat_once_or_on(prompt: str | None, words: TurnWords, *, resume: str | None, as_json: bool) -> int:
    """One turn when there is a prompt, else a conversation. Gives the exit code."""
    text = prompt_text(prompt)
    if text is not None:
        return asyncio.run(_once(text, words, resume=resume, as_json=as_json))
    if as_json:
        raise UsageError("--json needs a prompt.", 'Give one: fclocal chat "..." --json')
    return _on(words, resume=resume)


@asynccontextmanager
async def open_session(
    words: TurnWords, *, resume: str | None = None, question: str | None = None, silent: bool = False
) -> AsyncIterator[Session]:
    """A session with everything loaded and written down as it goes; notices go to stderr.

    `resume` goes on with a stored conversation. Raises UsageError when there is none called so. `question` is shown
    before the model is loaded.
    """
    with ExitStack() as closing:
        stored = _kept(closing, needed=resume is not None)
        earlier = stored.load(resume) if stored and resume else None
        if question is not None:
            say(f"{'question':<9}{question}")
        async with _open(words, stored, earlier, silent=silent) as session:
            yield session


def _kept(closing: ExitStack, *, needed: bool) -> Sessions | None:
    """The stored conversations; None, which is said, when they cannot be opened and are not needed."""
    try:
        return closing.enter_context(Sessions())
    except DiskError as error:
        if needed:
            raise
        _not_kept(error)
        return None


@asynccontextmanager
async def _open(
    words: TurnWords, stored: Sessions | None, earlier: StoredSession | None, *, silent: bool
) -> AsyncIterator[Session]:
    async with open_runtime(words.options(), trust=trust_of_terminal()) as runtime:
        if not silent:
            for notice in runtime.notices:
                say(notice)
        record: Recorder | None = None
        if stored and earlier:
            for note in earlier.notes:
                say(note)
            record = stored.go_on(earlier.summary.id, on_fault=_not_kept)
        elif stored:
            functions = await functions_in(runtime.toolset)
            model = runtime.model
            record = stored.record(
                model=model.name, dialect=model.dialect.name, functions=functions, on_fault=_not_kept
            )
        yield Session(
            runtime.model,
            runtime.toolset,
            runtime.policy,
            settings=words.settings(runtime.config, missing="ask", max_calls=8),
            system=words.system,
            history=earlier.messages if earlier else (),
            decide=ask if is_terminal() else nobody,
            record=record,
        )


def _not_kept(error: DiskError) -> None:
    say(f"{error} The conversation goes on, but is not kept.")


async def _once(text: str, words: TurnWords, *, resume: str | None, as_json: bool) -> int:
    question = None if as_json else text.strip()
    async with open_session(words, resume=resume, question=question, silent=as_json) as session:
        story = Story(streaming=sys.stdout.isatty(), silent=as_json)
        async with aclosing(session.send(text)) as events:
            async for event in events:
                story.tell(event)
    if as_json:
        print(json_line(story.as_json()), flush=True)
    return ExitCode.REFUSED if story.denied else ExitCode.DONE


def _on(words: TurnWords, *, resume: str | None) -> int:
    """The conversation: asyncio runs only while a turn runs, so that the terminal's own line editing works between."""
    with asyncio.Runner() as runner:
        opened = open_session(words, resume=resume)
        session = runner.run(opened.__aenter__())
        try:
            say(GREETING)
            while (line := _next_line()) is not None:
                if line.strip() in ("/quit", "/exit"):
                    break
                if line.strip():
                    _say_in(runner, session, line)
        finally:
            runner.run(opened.__aexit__(None, None, None))
    return ExitCode.DONE


def _say_in(runner: asyncio.Runner, session: Session, line: str) -> None:
    """One turn; what goes wrong ends the turn, not the conversation."""
    try:
        runner.run(_turn(session, line))
    except FclocalError as error:
        say(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("\nStopped.")


async def _turn(session: Session, line: str) -> None:
    story = Story(streaming=True)
    async with aclosing(session.send(line)) as events:
        async for event in events:
            story.tell(event)


def _next_line() -> str | None:
    """The next message, edited with readline where the platform has it; None at the end of the input."""
    try:
        import readline  # noqa: F401  # its presence gives input() editing and history
    except ImportError:
        return read_line("> ")
    try:
        return input("> ")
    except EOFError:
        return None
