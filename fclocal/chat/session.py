"""A conversation: its history, and one `send` that gives events until the model has answered."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from fclocal.chat.decide import Decide, nobody
from fclocal.chat.model import Model
from fclocal.chat.turn import Recorder, TurnSettings, pending, turn
from fclocal.errors import UsageError
from fclocal.events import Event, Receipt
from fclocal.messages import FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from fclocal.tools.policy import Policy
from fclocal.tools.toolset import Toolset


class Unrecorded:
    """A recorder that keeps nothing."""

    def message(self, message: Message, receipts: Mapping[str, Receipt]) -> None:
        """Forget it."""

    def began(self, call: FunctionCall, *, verdict: str, original: FunctionCall | None) -> None:
        """Forget it."""

    def ended(self, call: FunctionCall, result: FunctionResult, *, ms: float) -> None:
        """Forget it."""


class Session:
    """One conversation with one model. `history` holds every message so far, the oldest first.

    Not for two turns at once: `send` again only after the events of the last turn have ended or were closed.
    """

    def __init__(
        self,
        model: Model,
        toolset: Toolset,
        policy: Policy,
        *,
        settings: TurnSettings,
        system: str | None = None,
        history: Sequence[Message] = (),
        decide: Decide = nobody,
        record: Recorder | None = None,
    ) -> None:
        self.model = model
        self.toolset = toolset
        self.policy = policy
        self.settings = settings
        self.decide = decide
        self.record = record or Unrecorded()
        self.history: list[Message] = list(history)
        if system and not any(isinstance(message, SystemMessage) for message in self.history):
            self._append(SystemMessage(system))

    async def send(self, text: str) -> AsyncGenerator[Event, None]:
        """Say `text` and yield what happens until TurnFinished.

        A turn that is closed early or fails keeps what was said: calls without a result get one that says so.
        Raises UsageError for empty text, and what `reply` raises.
        """
        if not text.strip():
            raise UsageError("The message is empty.", "Say what you want.")
        self._append(UserMessage(text))
        events = turn(
            self.model,
            self.toolset,
            self.policy,
            self.history,
            settings=self.settings,
            decide=self.decide,
            record=self.record,
        )
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            for call in pending(self.history):
                self.history.append(FunctionResult(call.id, "No result.", ok=False, name=call.name))

    def _append(self, message: Message) -> None:
        self.history.append(message)
        self.record.message(message, {})
