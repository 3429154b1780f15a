"""The events of a turn, told to the widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fclocal.events import (
    ArgumentsDelta,
    ArgumentsReset,
    CallFinished,
    CallReady,
    CallRunning,
    CallStarted,
    Event,
    Notice,
    PromptRead,
    ReplyFinished,
    TextDelta,
    ThinkingDelta,
    TokensScored,
    TurnFinished,
)

if TYPE_CHECKING:
    from fclocal.tui.trace import Trace
    from fclocal.tui.widgets.status import StatusLine
    from fclocal.tui.widgets.transcript import Transcript


async def tell(event: Event, transcript: Transcript, status: StatusLine, trace: Trace, *, context: int) -> None:
    """Show one event; `context` is how many tokens there is room for."""
    match event:
        case PromptRead(done=done, total=total):
            status.state = f"reading {done}/{total}" if done < total else "working"
        case TokensScored():
            trace.add(event)
        case TextDelta(text=text):
            status.state = "writing"
            await transcript.text(text)
        case ThinkingDelta(text=text):
            status.state = "thinking"
            await transcript.thinking(text)
        case CallStarted(index=index, id=call_id, name=name):
            await transcript.start_call(index, call_id, name)
        case ArgumentsDelta(index=index, text=text):
            transcript.card_at(index).add_arguments(text)
        case ArgumentsReset(index=index, text=text):
            transcript.card_at(index).restart_arguments(text)
        case CallReady(call=call, receipt=receipt):
            await transcript.card(call.id).ready(call, receipt)
        case CallRunning(call=call):
            status.state = "running a function"
            transcript.card(call.id).running(call)
        case CallFinished(call=call, result=result, outcome=outcome, ms=ms):
            await transcript.card(call.id).finished(result, outcome, ms)
        case Notice(text=text):
            await transcript.note(text)
        case ReplyFinished(timings=timings, notes=notes):
            await transcript.end_text()
            trace.replied()
            status.count(timings, context)
            for note in notes:
                await transcript.note(note)
        case TurnFinished(reason="length"):
            await transcript.note("The reply was cut off at its limit; raise --max-tokens.")
