"""Exports: JSON that holds everything, Markdown that nothing breaks, lines for fine-tuning in the seed's format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fclocal.chat.export import left_out, session_json, session_markdown, training_lines
from fclocal.chat.store import Sessions
from fclocal.chat.stored import StoredSession
from fclocal.dialects.select import pick
from fclocal.functions import parse_functions
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, SystemMessage, UserMessage
from tests.chat.test_store import RECEIPT

FUNCTIONS = parse_functions(
    json.dumps(
        {
            "function": "delete_file",
            "description": "Delete files.",
            "arguments": [{"name": "fileNames", "type": "array", "items": {"type": "string"}}],
        }
    ),
    origin="test",
)
MADE = FunctionCall("c1", "delete_file", {"fileNames": ["a.txt"]})
RAN = FunctionCall("c1", "delete_file", {"fileNames": ["b.txt"]})
DENIED = FunctionCall("c2", "delete_file", {"fileNames": ["c.txt"]})


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Sessions]:
    with Sessions(tmp_path / "sessions.db", now=lambda: 1_700_000_000.0) as opened:
        yield opened


@pytest.fixture
def session(stored: Sessions) -> StoredSession:
    record = stored.record(model="m", dialect="trelis-llama", functions=FUNCTIONS)
    record.message(SystemMessage("Be careful."), {})
    record.message(UserMessage("Delete b.txt"), {})
    record.message(AssistantMessage("", (MADE,)), {"c1": RECEIPT})
    record.began(RAN, verdict="allow by the user", original=MADE)
    record.ended(RAN, FunctionResult("c1", '{"deleted": 1}', name="delete_file"), ms=2.0)
    record.message(AssistantMessage("Deleted b.txt."), {})
    record.message(UserMessage("Now c.txt"), {})
    record.message(AssistantMessage("", (DENIED,)), {})
    record.ended(DENIED, FunctionResult("c2", "Not run. No.", ok=False, name="delete_file"), ms=0.0)
    return stored.load(record.id)


def test_json_holds_the_call_as_made_and_as_run(session: StoredSession) -> None:
    value = json.loads(json.dumps(session_json(session)))
    assert [message["role"] for message in value["messages"]] == [
        *("system", "user", "assistant", "result", "assistant", "user", "assistant", "result"),
    ]
    (call,) = value["messages"][2]["calls"]
    assert (call["arguments"], call["edited"]) == ({"fileNames": ["a.txt"]}, {"fileNames": ["b.txt"]})
    assert (call["outcome"], call["verdict"], call["ms"]) == ("done", "allow by the user", 2.0)
    assert call["receipt"]["grammar"] == "full"
    assert value["messages"][6]["calls"][0]["outcome"] == "denied"
    assert value["messages"][0]["at"] == "2023-11-14T22:13:20.000+00:00"
    assert value["functions"][0]["function"]["name"] == "delete_file"


def test_markdown(session: StoredSession) -> None:
    text = session_markdown(session)
    assert text.startswith("# Delete b.txt\n")
    assert "## User\n\nDelete b.txt\n" in text
    assert "Call, done, allow by the user, 2 ms:" in text
    assert '["a.txt"]' in text
    assert "Call, denied" in text
    assert "Result of `delete_file` (failed):" in text


def test_markdown_fences_hold(stored: Sessions) -> None:
    record = stored.record()
    record.message(UserMessage("go"), {})
    record.message(AssistantMessage("", (MADE,)), {})
    record.ended(MADE, FunctionResult("c1", "````\n# no heading\n```", name="f"), ms=0)
    assert "\n`````\n````\n# no heading\n```\n`````\n" in session_markdown(stored.load(record.id))


def test_training_lines_are_in_the_seeds_format(session: StoredSession) -> None:
    lines = list(training_lines(session, pick("trelis-llama")))
    assert len(lines) == 2
    assert left_out(session) == 1
    first, answer = lines
    block = json.dumps(dict(FUNCTIONS[0].metadata or {}), indent=4)
    prompt = f"<FUNCTIONS>{block}</FUNCTIONS>\n\n[INST] <<SYS>>\nBe careful.\n<</SYS>>\n\nDelete b.txt [/INST]\n\n"
    assert first["prompt"] == prompt
    assert json.loads(str(first["completion"])) == {"function": "delete_file", "arguments": {"fileNames": ["b.txt"]}}
    assert first["edited"] is True
    assert str(answer["prompt"]).startswith(prompt + str(first["completion"]) + "</s>[INST] ")
    assert (answer["completion"], answer["edited"]) == ("Deleted b.txt.", False)


def test_training_lines_in_another_dialect(session: StoredSession) -> None:
    (first, _) = training_lines(session, pick("trelis-deepseek"), end="<|EOT|>")
    assert str(first["prompt"]).endswith("### Response:\n\n\n") or str(first["prompt"]).endswith("### Response:\n\n")


def test_replies_of_unknown_outcome_are_left_out(stored: Sessions) -> None:
    record = stored.record(functions=FUNCTIONS)
    record.message(UserMessage("go"), {})
    record.message(AssistantMessage("", (MADE,)), {})
    assert len(list(training_lines(stored.load(record.id), pick("trelis-llama")))) == 1
    record.began(MADE, verdict="allow", original=None)
    assert list(training_lines(stored.load(record.id), pick("trelis-llama"))) == []
