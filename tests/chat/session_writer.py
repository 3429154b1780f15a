"""A process that writes a conversation and says on stdout what is acknowledged; tests kill it at any moment.

`python session_writer.py FILE [TURNS]`: each turn is a user's message, a reply with a call, its run and its result.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fclocal.chat.store import Sessions
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, UserMessage


def acknowledge(word: str) -> None:
    """One line that the parent has as soon as this returns."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(path: str, turns: int) -> None:
    with Sessions(Path(path)) as stored:
        record = stored.record(model="writer", dialect="trelis-llama")
        for turn in range(turns):
            record.message(UserMessage(f"question {turn}"), {})
            acknowledge(f"said {record.id} {turn}")
            call = FunctionCall(f"call_{turn}", "run", {"turn": turn})
            record.message(AssistantMessage("", (call,)), {})
            acknowledge(f"called {record.id} {turn}")
            record.began(call, verdict="allow by a rule", original=None)
            acknowledge(f"began {record.id} {turn}")
            acknowledge(f"ran {record.id} {turn}")
            record.ended(call, FunctionResult(call.id, f"answer {turn}", name="run"), ms=1.0)
            acknowledge(f"ended {record.id} {turn}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10**9)
