"""Replies as models really write them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fclocal.dialects.dialect import write_reply
from fclocal.dialects.reply import (
    ArgumentsText,
    CallEnded,
    CallStarted,
    Malformed,
    Piece,
    ReplyParser,
    Text,
    Thinking,
    merged,
    parse,
)
from fclocal.functions import Json
from fclocal.grammar.syntax import INDENTED, LLAMA3_JSON, ONE_LINE, TOOL_CALL, CallSyntax
from fclocal.messages import AssistantMessage, FunctionCall

NAMES = ("weather", "delete_file", "save_chat", "ping")
SYNTAXES = {"one-line": ONE_LINE, "indented": INDENTED, "tool_call": TOOL_CALL, "llama3": LLAMA3_JSON}
PARIS = '{"function": "weather", "arguments": {"city": "Paris"}}'


def summary(pieces: Sequence[Piece]) -> list[object]:
    """Text as it is, thinking in a tuple, a call as (name, arguments), a fault as its kind."""
    found: list[object] = []
    for piece in pieces:
        match piece:
            case Text(text=text):
                found.append(text)
            case Thinking(text=text):
                found.append(("thinking", text))
            case CallEnded(name=name, arguments=arguments):
                found.append((name, arguments))
            case Malformed(fault=fault):
                found.append([fault])
    return found


def read(text: str, syntax: CallSyntax = ONE_LINE, *, optional: Sequence[str] = ()) -> list[object]:
    return summary(parse(text, syntax, NAMES, optional=optional))


CALL = ("weather", {"city": "Paris"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world.", ["Hello, world."]),
        ("", []),
        (" \n", [" \n"]),
        (PARIS, [CALL]),
        (f"\n {PARIS}\n\n", [CALL]),
        ('{\n    "function": "weather",\n    "arguments": {\n        "city": "Paris"\n    }\n}', [CALL]),
        ('{"function":"weather","arguments":{"city":"Paris"}}', [CALL]),
        ('{ "arguments" : {"city":\t"Paris"} , "function" : "weather" }', [CALL]),
        (f"I will look that up. {PARIS} Done.", ["I will look that up.", CALL, "Done."]),
        (f"Here:\n```json\n{PARIS}\n```\nThat is it.", ["Here:", CALL, "That is it."]),
        (f"```\n{PARIS}\n```", [CALL]),
        (f"{PARIS}\n{PARIS}", [CALL, CALL]),
        (f"{PARIS}, {PARIS};{PARIS}", [CALL, CALL, CALL]),
        (f"[{PARIS}, {PARIS}]", [CALL, CALL]),
        (f"{PARIS}\n\nand then\n\n{PARIS}", [CALL, "and then", CALL]),
        ('{"function": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}', [CALL]),
        ('{"name": "weather", "parameters": {"city": "Paris"}}', [CALL]),
        ('{"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}', [CALL]),
        ('{"id": 1, "x": ' + PARIS + "}", ['{"id": 1, "x":', CALL, "}"]),
        ('{"function": "\\u0077eather", "arguments": {"city": "Paris"}}', [CALL]),
        ('{"function": "weather", "arguments": {"city": "a } \\" { \\\\"}}', [("weather", {"city": 'a } " { \\'})]),
        ('{"function": "weather", "arguments": {"city": "two\nlines"}}', [("weather", {"city": "two\nlines"})]),
        ('{"function": "weather", "arguments": {}, "id": 7}', [("weather", {})]),
    ],
)
def test_calls_and_text(text: str, expected: list[object]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "if (x) { return {}; }",
        '{"city": "Paris"}',
        '{"name": "Bob", "age": 5}',
        '{"name": "weather"}',
        'f"{function}" {{"function"}} {"function"',
        '{"arguments": [1, 2]}',
        '{"type": "object", "properties": {}}',
        '{"type": "unfinished',
        "```python\nprint({'function': 1})\n```",
        '{"functions": "weather", "arguments": {}}',
        "[1, 2]\n```",
        "<tool_call> is a tag, <think> too",
        "{" * 50 + '"a"' + "}" * 50,
        'Text {"name": "unknown_thing", "kind": {"a": 1}} more',
    ],
)
def test_braces_that_are_no_calls_stay_text(text: str) -> None:
    assert read(text) == [text]


@pytest.mark.parametrize(
    ("text", "fault", "reason"),
    [
        ('{"function": "weather", "arguments": {"city": "Par', "truncated", "cut off"),
        ('{"function": "weather"', "truncated", "cut off"),
        ('{"function":', "truncated", "cut off"),
        ('{"function": "wether", "arguments": {}}', "unknown function", "did you mean 'weather'"),
        ('{"function": "rm", "arguments": {}}', "unknown function", "no function 'rm' is offered"),
        ('{"name": "wether", "arguments": {}}', None, ""),
        ('{"function": "weather"}', "no arguments", "weather"),
        ('{"function": "weather", "arguments": null}', "no arguments", "weather"),
        ('{"function": "weather", "arguments": [1]}', "arguments not an object", "weather"),
        ('{"function": "weather", "arguments": "Paris"}', "arguments not an object", "weather"),
        ('{"function": "weather", "arguments": 5}', "arguments not an object", "weather"),
        ('{"function": "weather", "arguments": {city: 1}}', "not JSON", "not valid JSON"),
        ('{"function": "weather", "arguments": {"a": NaN}}', "not JSON", "not valid JSON"),
        ('{"function": 5, "arguments": {}}', "no function", "names no function"),
        ('{"function": "weather", "arguments": {}, "arguments": {}}', "not JSON", "repeats a key"),
    ],
)
def test_calls_that_cannot_be_used(text: str, fault: str | None, reason: str) -> None:
    malformed = [piece for piece in parse(text, ONE_LINE, NAMES) if isinstance(piece, Malformed)]
    assert [piece.fault for piece in malformed] == ([fault] if fault else [])
    assert all(piece.raw == text and reason in piece.reason for piece in malformed)


def test_a_bad_call_does_not_hide_a_good_one() -> None:
    text = f'{{"function": "wether", "arguments": {{}}}}\n{PARIS}'
    assert read(text) == [["unknown function"], CALL]


def test_missing_arguments_where_none_are_needed() -> None:
    assert read('{"function": "ping"}', optional=["ping"]) == [("ping", {})]
    assert read('{"function": "ping", "arguments": ""}') == [("ping", {})]


def test_without_functions_all_is_text() -> None:
    assert summary(parse(PARIS, ONE_LINE, ())) == [PARIS]
    assert summary(parse(f"<tool_call>{PARIS}</tool_call>", TOOL_CALL, ())) == [f"<tool_call>{PARIS}</tool_call>"]


HERMES = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HERMES, [CALL]),
        (f"Sure.\n{HERMES}\n{HERMES}", ["Sure.", CALL, CALL]),
        (HERMES.replace("\n", ""), [CALL]),
        (HERMES.removesuffix("</tool_call>"), [CALL]),
        ('{"name": "weather", "arguments": {"city": "Paris"}}', [CALL]),
        (f"<tool_call>{PARIS}</tool_call>", [CALL]),
        ("<tool_call>weather(Paris)</tool_call>", [["not JSON"]]),
        ("<tool_call>\n", [["truncated"]]),
        ('<tool_call>\n{"name": "weather", "argu', [["truncated"]]),
        ('<tool_call>{"name": "wether", "arguments": {}}</tool_call>', [["unknown function"]]),
        ('<tool_call>{"city": "Paris"}</tool_call>', [["no function"]]),
        ("a < b <tool> c", ["a < b <tool> c"]),
        (f"<think>\nParis?\n</think>\n\n{HERMES}", [("thinking", "\nParis?\n"), CALL]),
    ],
)
def test_hermes(text: str, expected: list[object]) -> None:
    assert read(text, TOOL_CALL) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "weather", "parameters": {"city": "Paris"}}', [CALL]),
        ('<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}', [CALL]),
        ('{"type": "function", "name": "weather", "parameters": {"city": "Paris"}}', [CALL]),
        ('{"name": "weather", "arguments": {"city": "Paris"}}', [CALL]),
        ('{"name": "Ann", "age": 3}', ['{"name": "Ann", "age": 3}']),
        ('{"name": "wether", "parameters": {}}', [["unknown function"]]),
    ],
)
def test_llama3(text: str, expected: list[object]) -> None:
    assert read(text, LLAMA3_JSON) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a {b} </think> Hi", [("thinking", "a {b} "), "Hi"]),
        ("\n<think></think>\n\nHi", ["Hi"]),
        (f"<think>{PARIS}</think>{PARIS}", [("thinking", PARIS), CALL]),
        ("<think>never ends </thin", [("thinking", "never ends </thin")]),
        ("Say <think>x</think>", ["Say <think>x</think>"]),
        ("<thinking>x", ["<thinking>x"]),
    ],
)
def test_thinking(text: str, expected: list[object]) -> None:
    assert read(text) == expected


def test_positions_and_streaming() -> None:
    parser = ReplyParser(ONE_LINE, NAMES)
    assert parser.feed('Go. {"function": "wea') == (Text("Go."),)
    assert parser.feed('ther"') == (CallStarted("weather", 4),)
    assert parser.feed(', "arguments": {"ci') == (ArgumentsText('{"ci'),)
    assert parser.feed('ty": "x"}') == (ArgumentsText('ty": "x"}'),)
    (ended,) = parser.feed("} ")
    assert ended == CallEnded(
        "weather", '{"city": "x"}', {"city": "x"}, len('Go. {"function": "weather", "arguments": {"city": "x"}}')
    )
    assert parser.finish() == ()


def test_plain_text_is_not_held_back() -> None:
    parser = ReplyParser(ONE_LINE, NAMES)
    assert [parser.feed(word) for word in ("One", " two {", "x} three")] == [
        (Text("One"),),
        (Text(" two"),),
        (Text(" {x} three"),),
    ]


FRAGMENTS = [
    *(PARIS, HERMES, '{"name": "weather", "parameters": {"b": "}"}}', '{"function": "wether", "arguments": {}}'),
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "<|python_tag|>", "```", "```json\n", "[", "]", ",", ";"),
    *(" ", "\n", "text", "{", "}", '{"', '"function"', '"name"', ":", '"weather"', '"arguments"', "\\", "null"),
    *('{"type": "x"', '{"arguments": "{\\"a\\":2}", "function": "weather"}', "é", "🦙", '{"function": "ping"}'),
]


@given(
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.sampled_from(sorted(SYNTAXES)),
    st.lists(st.integers(0, 200), max_size=10),
)
@settings(max_examples=400, deadline=None)
def test_any_chunking_reads_the_same(text: str, syntax: str, cuts: list[int]) -> None:
    whole = parse(text, SYNTAXES[syntax], NAMES)
    for places in (cuts, range(len(text))):
        parser = ReplyParser(SYNTAXES[syntax], NAMES)
        edges = [0, *sorted({min(cut, len(text)) for cut in places}), len(text)]
        pieces = [piece for a, b in pairwise(edges) for piece in parser.feed(text[a:b])]
        assert merged((*pieces, *parser.finish())) == whole


@given(st.text(max_size=80))
def test_text_without_calls_comes_back_as_it_is(text: str) -> None:
    assert "".join(piece.text for piece in parse("." + text, ONE_LINE, NAMES) if isinstance(piece, Text)) == "." + text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(), VALUES, max_size=4)), min_size=1, max_size=3),
    st.sampled_from(sorted(SYNTAXES)),
)
@settings(deadline=None)
def test_what_a_dialect_writes_reads_back(calls: list[tuple[str, Mapping[str, Json]]], syntax: str) -> None:
    made = tuple(FunctionCall(str(number), name, arguments) for number, (name, arguments) in enumerate(calls))
    text = write_reply(SYNTAXES[syntax], AssistantMessage("See:", made))
    found = parse(text, SYNTAXES[syntax], NAMES)
    assert summary(found) == ["See:", *calls]
    for piece, before in zip(found[1:], found, strict=False):
        if isinstance(piece, CallEnded):
            assert before == ArgumentsText(piece.text)
            assert json.loads(piece.text) == piece.arguments
            assert text[: piece.end].endswith("}")


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ('{"type":', 2_000),
        ('{"function": "weather", "arguments": ', 2_000),
        ("{", 20_000),
        ("   ```", 4_000),
        ('{"', 10_000),
        ("<tool_call>{", 2_000),
    ],
)
def test_hostile_replies_take_bounded_time(part: str, count: int) -> None:
    text = part * count
    began = time.process_time()
    parse(text, ONE_LINE, NAMES)
    parser = ReplyParser(TOOL_CALL, NAMES)
    for at in range(0, len(text), 4):
        parser.feed(text[at : at + 4])
    parser.finish()
    assert time.process_time() - began < 5
