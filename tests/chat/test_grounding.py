"""Where arguments come from: the rules one by one, the labelled halves, speed, questions and typed answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fclocal.chat.grounding import coerce, ground, question
from fclocal.events import Origin
from fclocal.functions import Function, Json, from_openai
from fclocal.grammar.check import Problem
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from tests.chat.labelled.score import CASES, cases, functions, score, table

TODAY = date(2025, 6, 11)  # a Wednesday
OFFSET = datetime.combine(TODAY, time(19, 30)).astimezone().isoformat()[19:]


def function(**properties: Json) -> Function:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return from_openai({"name": "do_it", "parameters": schema}, origin="test")


def origin(value: Json, *said: str | Message, name: str = "value", schema: Json = None) -> Origin:
    """Where `value` comes from after what the user (or whoever) said."""
    messages = [UserMessage(one) if isinstance(one, str) else one for one in said]
    offered = function(**{name: schema if schema is not None else {}})
    return ground(FunctionCall("c", "do_it", {name: value}), offered, messages, probabilities={}, today=TODAY)[name]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Zurich", "the weather in Zürich?"),
        ("Zürich", "the weather in zurich?"),
        ("Anna", "I am Anna Smith"),
        ("Anna Smith", "smith, anna is coming"),
        ("Mueller", "call Müller"),
        ("Müller", "call mueller"),
        ("apple", "three apples"),
        ("Tokyo", "ＴＯＫＹＯ"),
        ("王小明", "请把邮件发给王小明"),
        ("ORD-12", "where is ord-12?"),
        ("DE89370400440532013000", "it is DE89 3704 0044 0532 0130 00"),
        ("x.md", "read docs/x.md"),
        ("a@b.io", "mail A@b.io, please"),
        ("bob@acme.co.uk", "mail bob at acme dot co dot uk"),
        ("kilometers", "how far is 5 km"),
        ("km", "how far is five kilometres"),
        ("5 km", "five kilometers"),
        ("USD", "twenty dollars"),
        (24, "two dozen eggs"),
        (105, "a hundred and five"),
        (1200, "about 1,200"),
        (1200, "1.2k is enough"),
        (1200.5, "1.200,50 EUR"),
        (2, "press it twice"),
        (0.5, "half of it"),
        (2.5, "two and a half"),
        (15, "15% of it"),
        (-5, "minus five"),
        (2025, "twenty twenty-five"),
        (123456, "one hundred twenty three thousand four hundred and fifty six"),
        ("2025-07-05", "on 5.7.2025"),
        ("2025-07-05T19:30:00Z", "July 5, 2025 at 7:30 pm"),
        ("12:00", "at noon"),
        ("sqrt(144) + 3", "the square root of 144 plus three"),
        (["Anna", "Ben"], "Anna and Ben"),
        ({"name": "Anna", "age": 30}, "Anna is thirty"),
        ("I am late.", "tell her that I am late"),
    ],
)
def test_said_by_the_user(value: Json, said: str) -> None:
    assert origin(value, said).source == "user"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2025-06-12", "tomorrow"),
        ("2025-06-13", "next Friday"),
        ("2025-06-20", "next Friday"),
        ("2025-07-05", "on July 5"),
        ("2026-03-03", "on March 3rd"),
        ("19:30", "at half past seven"),
        ("2025-06-12T17:00:00", "tomorrow at 5"),
        ("Amsterdam", "weather in Amstrdam"),
        ("New York City", "weather in NYC"),
        ("Asia/Tokyo", "the time in Tokyo"),
        ("Europe/Madrid", "the time in Spain"),
        (300, "5 minutes"),
        (185, "1.85 m"),
        (0.15, "15% of it"),
        ("80*1.15", "increase 80 by 15 percent"),
    ],
)
def test_follows_from_what_the_user_said(value: Json, said: str) -> None:
    assert origin(value, said).source == "inferred"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Anna Smith", "I am Anna"),
        ("London", "is it raining?"),
        ("Anna", "tell Annabel"),
        ("AB-12", "order AB-123"),
        ("1.2", "version 1.2.3"),
        ("tim@a.io", "mail tom@a.io"),
        ("/home/joe/x.md", "read x.md"),
        (4, "three of them"),
        (20, "in 2024"),
        ("2024-07-05", "on July 5"),
        ("2025-06-13", "tomorrow"),
        ("19:00", "tomorrow"),
        ("12*7+4", "12 times 7 plus 3"),
        ("2+2", "calculate something"),
        (["apple", "plum"], "apples and pears"),
        ({"name": "Anna", "age": 31}, "Anna is thirty"),
        ([], "remove it"),
    ],
)
def test_said_by_nobody(value: Json, said: str) -> None:
    assert origin(value, said).source == "unsupported"


PLACEHOLDERS = (
    *("", " ", "string", "<name>", "your_name", "[CITY]", "{{x}}", "unknown", "N/A", "TBD", "???", "John Doe"),
    *("YYYY-MM-DD", "example@example.com", "not specified", "INSERT NAME HERE", "xxx", "placeholder text"),
)


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholders_are_unsupported_unless_quoted(value: str) -> None:
    assert origin(value, "please do it for me").source == "unsupported"
    if value.strip() and not value.startswith("?"):
        assert origin(value, f"it is '{value}', really").source == "user"


def test_the_name_of_the_argument_is_a_placeholder() -> None:
    assert origin("city", "the weather in my city", name="city").source == "unsupported"


def test_sides_and_their_order() -> None:
    result = FunctionResult("c0", '{"id": "ORD-7", "city": "Graz"}')
    assert origin("ORD-7", "look it up", result).source == "result"
    assert origin("Graz", "I am in Graz", result).source == "user"
    assert origin("Graz", SystemMessage("The user lives in Graz."), "the weather?").source == "user"
    assert origin("Graz", "hi", AssistantMessage("Shall I say Graz?"), "what is new?").source == "unsupported"
    assert origin("Graz", "hi", AssistantMessage("Shall I say Graz?"), "yes").source == "inferred"


def test_what_an_earlier_call_ran_with_is_inferred() -> None:
    made = FunctionCall("c0", "do_it", {"value": "Graz"})
    ran: list[Message] = [UserMessage("go"), AssistantMessage("", (made,)), FunctionResult("c0", "sunny")]
    assert origin("Graz", *ran, UserMessage("and tomorrow?")).source == "inferred"
    assert origin("Graz", *ran, UserMessage("and tomorrow?"), name="other").source == "unsupported"
    denied = FunctionResult("c0", "Not run.", ok=False)
    assert origin("Graz", *ran[:2], denied, UserMessage("and tomorrow?")).source == "unsupported"


def test_words_that_stand_there_by_chance_are_no_values() -> None:
    for value, said in (("it", "delete it"), ("this", "translate this"), ("file", "delete the file")):
        assert origin(value, said).source == "unsupported"
    assert origin(".", "list the files here", name="folder").source == "inferred"
    assert origin(".", "list my files", name="folder").source == "unsupported"
    assert origin("Turner", "turn on the light", name="surname").source == "unsupported"
    assert origin("John Doe", "I am John Doe").source == "user"
    assert origin("11111", "zip 11111").source == "user"
    assert origin("Add milk", "add milk to the list").source == "user"


def test_defaults_choices_and_flags() -> None:
    assert origin(5, "go", schema={"type": "integer", "default": 5}).source == "default"
    assert origin(5, "five please", schema={"type": "integer", "default": 5}).source == "user"
    unit: Json = {"enum": ["celsius", "fahrenheit"]}
    assert origin("celsius", "go", schema=unit).source == "inferred"
    assert origin("celsius", "in Celsius", schema=unit).source == "user"
    assert origin(True, "go", name="gift_wrap", schema={"type": "boolean"}).source == "inferred"
    assert origin(True, "wrap it as a gift", name="gift_wrap", schema={"type": "boolean"}).source == "user"
    assert origin(False, "no gift wrap", name="gift_wrap", schema={"type": "boolean"}).source == "user"
    assert origin(True, "no gift wrap", name="gift_wrap", schema={"type": "boolean"}).source == "inferred"
    assert origin(None, "go", schema={"type": ["string", "null"]}).source == "inferred"


def test_an_enum_behind_a_reference_is_a_choice() -> None:
    parameters = {
        "type": "object",
        "properties": {"value": {"$ref": "#/$defs/unit"}},
        "$defs": {"unit": {"enum": ["k", "c"]}},
    }
    offered = from_openai({"name": "do_it", "parameters": parameters}, origin="test")
    found = ground(FunctionCall("c", "do_it", {"value": "k"}), offered, [UserMessage("go")], probabilities={})
    assert found["value"].source == "inferred"


def test_composed_text_follows_from_the_wish_to_have_it_written() -> None:
    haiku = "Waves fold into light, the gulls cry over the salt wind"
    assert origin(haiku, "write a haiku and save it", name="content").source == "inferred"
    assert origin(haiku, "save something", name="content").source == "unsupported"
    assert origin(haiku, "go on", AssistantMessage(haiku), "save that", name="content").source == "inferred"


def test_the_span_leads_to_the_words() -> None:
    said = "Hällo ½, ich bin in Zürich — two dozen Äpfel, ok?"
    for value, words in (("zurich", "Zürich"), (24, "two dozen"), ("apfel", "Äpfel")):
        found = origin(value, "first", said)
        assert (found.text, found.message) == (words, 1)
        assert found.span is not None and said[slice(*found.span)] == words


def test_a_list_shows_the_words_over_its_items() -> None:
    found = origin(["Anna", "Ben"], "with Anna and Ben today")
    assert found.text == "Anna and Ben"


def test_probabilities_and_every_argument() -> None:
    offered = function(a={"type": "string"}, b={"type": "string"})
    call = FunctionCall("c", "do_it", {"a": "Graz", "b": "x", "unknown": 1})
    found = ground(call, offered, [UserMessage("Graz")], probabilities={"a": 0.25})
    assert list(found) == ["a", "b", "unknown"]
    assert (found["a"].probability, found["b"].probability) == (0.25, None)


def test_tomorrow_counts_from_a_date_that_the_system_or_a_result_names() -> None:
    assert origin("2031-02-01", SystemMessage("Today is 2031-01-31."), "tomorrow").source == "inferred"
    assert (
        origin("2031-02-01", "the time?", FunctionResult("c", "2031-01-31T10:00:00Z"), "tomorrow").source == "inferred"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4), st.lists(st.text(max_size=60), max_size=4))
def test_any_call_is_grounded_and_every_span_is_true(arguments: dict[str, Json], said: list[str]) -> None:
    messages = [UserMessage(text) for text in said]
    found = ground(FunctionCall("c", "do_it", arguments), function(a={}), messages, probabilities={}, today=TODAY)
    assert list(found) == list(arguments)
    for one in found.values():
        if one.span is not None and one.message is not None:
            assert said[one.message][slice(*one.span)] == one.text


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**9), 10**9))
def test_a_number_in_digits_is_the_users(number: int) -> None:
    assert origin(number, f"take {number} of them").source == "user"
    assert origin(number, f"take {number:,} of them").source == "user"


@pytest.mark.parametrize("half", CASES)
def test_labelled_cases(half: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`test` was kept aside: its bar is below what was reached there, 0.98 and 1.00."""
    found = score(half)
    with capsys.disabled():
        print("\n" + table(half, found))
    assert len(cases(half)) >= 110
    assert found.precision >= 0.95
    assert found.recall >= 0.95
    assert found.accuracy >= 0.95


def test_labelled_cases_are_of_known_functions() -> None:
    known = functions()
    for half in CASES:
        for case in cases(half):
            assert set(case["arguments"]) == set(case["expected"]) <= set(known[str(case["function"])].properties)


def seconds(messages: Sequence[Message], arguments: dict[str, Json], *, repeat: int = 5) -> float:
    offered = function(**{name: {} for name in arguments})
    times = []
    for _ in range(repeat):
        began = process_time()
        ground(FunctionCall("c", "do_it", arguments), offered, messages, probabilities={}, today=TODAY)
        times.append(process_time() - began)
    return min(times)


ARGUMENTS: dict[str, Json] = {
    "city": "Graz",
    "date": "2025-07-05",
    "name": "Anna Smith",
    "count": 41,
    "note": "call me back",
}


def test_a_normal_conversation_is_quick() -> None:
    turns = ["Can you look for a table in Graz on July 5? We are six, maybe seven people.", "Sure. At what time?"]
    messages = [
        UserMessage(text) if number % 2 == 0 else AssistantMessage(text) for number, text in enumerate(turns * 6)
    ]
    assert seconds(messages, ARGUMENTS) < 0.005


MEGABYTES = (
    *("word ", "1 ", "a", "9", "half a ", "a.a@", "\u00e9", "one and ", "'\"", "5 km ", "July 5 ", "1.", "at 7 "),
    *("the first ", "{", "next friday ", "-", "twenty ", "\n", "www.", "Anna ", "\u6771"),
)


@pytest.mark.parametrize("word", MEGABYTES)
def test_a_message_of_a_megabyte_is_bounded(word: str) -> None:
    assert seconds([UserMessage(word * (10**6 // len(word)))], ARGUMENTS, repeat=1) < 3


def test_a_value_deep_in_a_long_result_is_found() -> None:
    result = FunctionResult("c", "x " * 40_000 + "id=991827, key QX-77, for Anna Smith." + " y" * 40_000)
    for value in (991827, "QX-77", "Anna Smith"):
        assert origin(value, "which?", result).source == "result"


# Questions


@pytest.mark.parametrize(
    ("schema", "parts"),
    [
        ({"type": "string", "description": "The city to stay in"}, ("city", "stay", "?")),
        ({"type": "string", "description": "What is your order number?"}, ("What is your order number?",)),
        ({"type": "integer", "minimum": 1, "maximum": 9}, ("order id", "1 to 9", "?")),
        ({"enum": ["red", "blue"]}, ("red, blue", "?")),
        ({"type": "boolean"}, ("yes or no",)),
        ({"type": "array", "items": {"type": "string"}}, ("commas",)),
        ({}, ("order id", "do_it")),
        (True, ("order id",)),
    ],
)
def test_question_asks_for_that_argument(schema: Json, parts: tuple[str, ...]) -> None:
    asked = question(function(order_id=schema, other={}), "order_id")
    assert all(part in asked for part in parts), asked
    assert asked.count("?") == 1


@pytest.mark.parametrize(
    ("answer", "schema", "value"),
    [
        ("Graz", {"type": "string"}, "Graz"),
        (' "a b" ', {"type": "string"}, "a b"),
        ("5", {"type": "string"}, "5"),
        ("two dozen", {"type": "integer"}, 24),
        ("1,200", {"type": "number"}, 1200),
        ("3.50", {"type": "number"}, 3.5),
        ("2.0", {"type": "integer"}, 2),
        ("Yes", {"type": "boolean"}, True),
        ("nope", {"type": "boolean"}, False),
        ("a, b and c", {"type": "array", "items": {"type": "string"}}, ["a", "b", "c"]),
        ("a.txt", {"type": "array", "items": {"type": "string"}}, ["a.txt"]),
        ("[1, 2]", {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ("1, 2", {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("RED", {"enum": ["red", "blue"]}, "red"),
        ("bl", {"enum": ["red", "blue"]}, "blue"),
        ("2", {"enum": [1, 2]}, 2),
        ("none", {"type": ["integer", "null"]}, None),
        ("7", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, 7),
        ("x", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x"),
        ("anything", {}, "anything"),
        ("2025-07-05", {"type": "string", "format": "date"}, "2025-07-05"),
        ("July 5, 2025", {"type": "string", "format": "date"}, "2025-07-05"),
        ("5.7.2025", {"type": "string", "format": "date"}, "2025-07-05"),
        ("tomorrow", {"type": "string", "format": "date"}, "2025-06-12"),
        ("half past seven pm", {"type": "string", "format": "time"}, f"19:30:00{OFFSET}"),
    ],
)
def test_coerce_reads_the_answer(answer: str, schema: Json, value: Json) -> None:
    found = coerce(answer, schema, today=TODAY)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("answer", "schema"),
    [
        ("many", {"type": "integer"}),
        ("2.5", {"type": "integer"}),
        ("12", {"type": "integer", "maximum": 9}),
        ("maybe", {"type": "boolean"}),
        ("green", {"enum": ["red", "blue"]}),
        ("a", {"type": "object"}),
        ("x, y", {"type": "array", "items": {"type": "integer"}}),
        ("someday", {"type": "string", "format": "date"}),
        ("7/5/2025", {"type": "string", "format": "date"}),
        ("at seven", {"type": "string", "format": "time"}),
        ("", {"type": "string", "minLength": 1}),
    ],
)
def test_coerce_says_why_not(answer: str, schema: Json) -> None:
    found = coerce(answer, schema)
    assert isinstance(found, Problem)
    assert found.sentence


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"]))
def test_coerce_never_raises(answer: str, kind: str) -> None:
    found = coerce(answer, {"type": kind})
    assert isinstance(found, Problem) or json.dumps(found) is not None
