from __future__ import annotations

import pytest

from fclocal.chat.budget import ledger, refuse_overflow
from fclocal.dialects.dialect import Segment
from fclocal.errors import ContextFull
from tests.scripted import ScriptedEngine

ENGINE = ScriptedEngine([])


def test_parts_add_up_and_only_trusted_text_makes_control_tokens() -> None:
    segments = (
        Segment("<FUNCTIONS>{}</FUNCTIONS>", "functions"),
        Segment("[INST] ", "markers"),
        Segment("hi </s> é", "message 1: user"),
        Segment("ok</s>", "message 2: reply", trusted=True),
    )
    book = ledger(segments, ENGINE)
    assert book.parts == {"markers": 8, "functions": 25, "message 1: user": 10, "message 2: reply": 3}
    assert sum(book.parts.values()) == len(book.tokens)
    assert book.tokens.count(2) == 1
    assert book.stable == 26
    assert book.text == "<FUNCTIONS>{}</FUNCTIONS>[INST] hi </s> éok</s>"


def test_a_prompt_that_leaves_no_room_names_its_largest_parts() -> None:
    book = ledger((Segment("x" * 90, "functions"), Segment("y" * 20, "message 1: user")), ENGINE)
    refuse_overflow(book, context=127)
    with pytest.raises(ContextFull, match=r"takes 111 tokens.*functions 90, message 1: user 20") as caught:
        refuse_overflow(book, context=126)
    assert caught.value.parts == book.parts
