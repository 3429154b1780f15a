"""What the inspector shows of the last reply: its tokens as they were generated, and what it replied to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fclocal.chat.session import Session
    from fclocal.events import TokenScore, TokensScored
    from fclocal.messages import Message


class Trace:
    """Collects the tokens of the reply that is under way; a reply that began after one that ended starts anew."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.tokens: list[TokenScore] = []
        self.messages: tuple[Message, ...] = ()
        self._ended = True

    def follow(self, session: Session) -> None:
        """Forget the old session; the new one scores its tokens."""
        request = replace(session.settings.request, scores=True)
        session.settings = replace(session.settings, request=request)
        self.session = session
        self.tokens.clear()
        self.messages = ()
        self._ended = True

    def add(self, scored: TokensScored) -> None:
        """More tokens; those from `start` on are replaced."""
        if self._ended and self.session is not None:
            self._ended = False
            self.tokens.clear()
            self.messages = tuple(self.session.history)
        del self.tokens[scored.start :]
        self.tokens += scored.tokens

    def replied(self) -> None:
        """The reply is whole."""
        self._ended = True
