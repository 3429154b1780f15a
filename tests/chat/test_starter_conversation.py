"""A whole conversation with the built-in model: it asks for what is missing, calls, and answers from the result."""

from __future__ import annotations

import fclocal
from fclocal.events import CallFinished, TextDelta


async def test_it_asks_resumes_calls_and_answers() -> None:
    async with fclocal.open_model(builtin=["default"]) as model:
        session = model.session()
        asked = [event async for event in session.send("Convert 10 km")]
        assert not any(isinstance(event, CallFinished) for event in asked)
        assert text(asked).endswith("?")
        told = [event async for event in session.send("miles")]
        done = [event for event in told if isinstance(event, CallFinished)]
        assert [event.call.arguments for event in done] == [{"value": 10, "from_unit": "km", "to_unit": "miles"}]
        assert "6.2137" in text(told)
        again = [event async for event in model.session().send("What is 12 * (3 + 4)?")]
        assert [event.call.name for event in again if isinstance(event, CallFinished)] == ["calculator"]
        assert "84" in text(again)


def text(events: list[object]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))
