"""The grammar of a turn: what each choice admits, in every call syntax and layout."""

from __future__ import annotations

import json
import re
import time

import pytest
from llguidance import LLMatcher

from fclocal.errors import UsageError
from fclocal.functions import Json
from fclocal.grammar.calls import NamedChoice, TurnGrammar, json_grammar, narrow, turn_grammar
from fclocal.grammar.schema import CompiledSchema, compile_schema
from fclocal.grammar.syntax import INDENTED, LLAMA3_JSON, ONE_LINE, TOOL_CALL, CallSyntax
from tests.grammar.walks import admits, forced, matcher, tokenizer, walk

SEARCH = compile_schema({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]})
WEATHER = compile_schema(
    {
        "type": "object",
        "properties": {
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
            "hour": {"type": "integer", "minimum": 0, "maximum": 23},
        },
        "required": ["unit", "days"],
    }
)
NOTHING = compile_schema({"type": "object", "properties": {}})
OFFERED = [("search_bing", SEARCH), ("get_weather", WEATHER)]
SYNTAXES = [ONE_LINE, INDENTED, TOOL_CALL, LLAMA3_JSON]
INDENTED_CALL = """{
    "function": "get_weather",
    "arguments": {
        "unit": "celsius",
        "days": 3
    }
}"""


def grammar(offered: list[tuple[str, CompiledSchema]] = OFFERED, **options: object) -> str:
    options.setdefault("syntax", ONE_LINE)
    found = turn_grammar(offered, **options)  # type: ignore[arg-type]  # options are spelled out by each test
    assert isinstance(found, TurnGrammar)
    return found.lark


def call(syntax: CallSyntax, name: str = "search_bing", arguments: dict[str, Json] | None = None) -> str:
    wanted = {"query": "a {b} c"} if arguments is None else arguments
    if syntax.layout == "indented" and wanted:
        lines = ",\n".join(f"        {json.dumps(key)}: {json.dumps(value)}" for key, value in wanted.items())
        text = "{\n" + lines + "\n    }"
    else:
        text = json.dumps(wanted)
    return f"{syntax.opening}{name}{syntax.after_name}{text}{syntax.closing}"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_auto_admits_text_a_call_and_text_before_calls(syntax: CallSyntax) -> None:
    lark = grammar(syntax=syntax)
    one = call(syntax)
    for text in ("Hello.", 'Braces {} and {"a": 1} stay text.', one, f"Let me look. {one}", one + syntax.between + one):
        assert admits(lark, text), text
    for text in (
        "",
        "  \n",
        one + " and more",
        one + one,
        call(syntax, "unknown"),
        call(syntax, arguments={"query": 3}),
    ):
        assert not admits(lark, text), text


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_text_cannot_begin_a_call_in_another_spacing(syntax: CallSyntax) -> None:
    wrong = {ONE_LINE: '{ "function": 3}', INDENTED: '{"function": "get_weather"}', LLAMA3_JSON: '{  "name": 3}'}
    wrong[TOOL_CALL] = "I say <tool_call> now"
    assert not admits(grammar(syntax=syntax), wrong[syntax])
    assert not admits(grammar(syntax=syntax, choice="none"), wrong[syntax])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_required_admits_only_calls_and_forces_the_opening(syntax: CallSyntax) -> None:
    lark = grammar(syntax=syntax, choice="required")
    assert forced(lark) == syntax.opening
    assert admits(lark, call(syntax))
    assert not admits(lark, "Hello.")
    assert not admits(lark, f"Hello. {call(syntax)}")


def test_the_first_letter_of_a_name_forces_everything_up_to_the_first_free_value() -> None:
    lark = grammar(syntax=INDENTED, choice="required")
    assert forced(lark, INDENTED.opening + "g") == 'et_weather",\n    "arguments": {\n        "unit": "'
    assert admits(lark, INDENTED_CALL)


def test_at_most_so_many_calls() -> None:
    calls = [call(ONE_LINE)] * 9
    assert admits(grammar(), "\n".join(calls[:8]))
    assert not admits(grammar(), "\n".join(calls))
    assert not admits(grammar(max_calls=1), "\n".join(calls[:2]))
    assert admits(grammar(choice="required", max_calls=2), "\n".join(calls[:2]))


def test_a_named_choice_is_one_call_of_that_function() -> None:
    lark = grammar(choice=NamedChoice("get_weather"))
    arguments: dict[str, Json] = {"unit": "celsius", "days": 1}
    one = call(ONE_LINE, "get_weather", arguments)
    assert admits(lark, one)
    assert not admits(lark, f"{one}\n{one}")
    assert not admits(lark, call(ONE_LINE))
    assert forced(lark).endswith('get_weather", "arguments": {"unit": "')


def test_a_name_that_is_the_beginning_of_another() -> None:
    lark = grammar([("get", NOTHING), ("get_weather", WEATHER)], choice="required")
    assert admits(lark, call(ONE_LINE, "get", {}))
    assert admits(lark, call(ONE_LINE, "get_weather", {"unit": "celsius", "days": 2}))
    assert not admits(lark, call(ONE_LINE, "get", {"unit": "celsius", "days": 2}))


def test_an_allowed_subset_keeps_text_possible() -> None:
    lark = grammar(allowed={"get_weather"})
    assert admits(lark, "Hello.")
    assert admits(lark, call(ONE_LINE, "get_weather", {"unit": "celsius", "days": 2}))
    assert not admits(lark, call(ONE_LINE))


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(UsageError, match="nowhere"):
        turn_grammar(OFFERED, syntax=ONE_LINE, choice=NamedChoice("nowhere"))
    with pytest.raises(UsageError, match="required"):
        turn_grammar(OFFERED, syntax=ONE_LINE, choice="required", allowed=())
    assert turn_grammar([], syntax=ONE_LINE) is None


def test_none_admits_text_without_calls() -> None:
    lark = grammar(choice="none")
    assert admits(lark, 'Text with {"a": 1} in it.')
    assert not admits(lark, call(ONE_LINE))
    assert not admits(lark, f"Text. {call(ONE_LINE)}")


@pytest.mark.parametrize("syntax", [ONE_LINE, INDENTED])
@pytest.mark.parametrize("required", [(), ("b",), ("a", "c"), ("c",), ("a", "b", "c")])
def test_any_subset_of_optional_arguments_in_declared_order(syntax: CallSyntax, required: tuple[str, ...]) -> None:
    kinds: dict[str, Json] = {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"const": "x"}}
    compiled = compile_schema({"type": "object", "properties": kinds, "required": list(required)})
    lark = grammar([("f", compiled)], syntax=syntax, choice="required")
    values: dict[str, Json] = {"a": 12, "b": True, "c": "x"}
    for bits in range(8):
        chosen = {key: values[key] for bit, key in enumerate("abc") if bits >> bit & 1}
        assert admits(lark, call(syntax, "f", chosen)) == (set(required) <= set(chosen)), chosen
    assert not admits(lark, call(syntax, "f", {"b": True, "a": 1, "c": "x"}))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_function_without_arguments(syntax: CallSyntax) -> None:
    lark = grammar([("now", NOTHING)], syntax=syntax, choice="required", max_calls=1)
    assert forced(lark) == call(syntax, "now", {})
    assert not admits(lark, call(syntax, "now", {"a": 1}))


def test_names_and_keys_in_any_script() -> None:
    compiled = compile_schema(
        {"type": "object", "properties": {'城市 "x"\n': {"const": "北京 😀"}}, "required": ['城市 "x"\n']}
    )
    lark = grammar([("查天气", compiled)], choice="required", max_calls=1)
    reply = json.loads(forced(lark))
    assert reply == {"function": "查天气", "arguments": {'城市 "x"\n': "北京 😀"}}


def test_thinking_may_come_first_and_is_not_a_call() -> None:
    lark = grammar(thinking=True)
    one = call(ONE_LINE)
    for text in (f"<think>Maybe {one}?</think>\n\n{one}", "<think>\n</think>\n\nHello.", "Hello.", one):
        assert admits(lark, text), text
    for text in ("<think>only", "<think>a</think>", f"<think>{one}"):
        assert not admits(lark, text), text
    assert admits(grammar(thinking=True, choice="required"), f"<think>x</think>\n{one}")


def _special_ids(text: str) -> list[int]:
    """Bytes, with the byte tokenizer's own special tokens where `text` has them."""
    known = {tokenizer().decode_str([token]): token for token in (256, 257)}
    pieces = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
    return [token for piece in pieces for token in ([known[piece]] if piece in known else piece.encode())]


SPECIAL = "<|tool|>"
WRAPPED = CallSyntax(
    opening=f'{SPECIAL}\n{{"name": "',
    after_name='", "arguments": ',
    closing="}\n<|/tool|>",
    between="\n",
    lead=r"<\|tool\|>",
)


def test_wrappers_that_are_special_tokens() -> None:
    one = call(WRAPPED)
    for choice, text, wanted in (
        ("auto", one, True),
        ("auto", f"Text first. {one}", True),
        ("auto", f"{one}\n{one}", True),
        ("auto", "Only text.", True),
        ("required", one, True),
        ("required", "Only text.", False),
        ("none", one, False),
    ):
        found = matcher(grammar(syntax=WRAPPED, choice=choice, special={SPECIAL, "<|/tool|>"}))
        tokens = _special_ids(text)
        assert (found.try_consume_tokens(tokens) == len(tokens) and found.is_accepting()) is wanted, (choice, text)


def test_a_special_wrapper_written_as_plain_text_is_no_call() -> None:
    found = matcher(grammar(syntax=WRAPPED, special={SPECIAL, "<|/tool|>"}))
    plain = list(call(WRAPPED).encode())
    assert found.try_consume_tokens(plain) < len(plain)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("seed", range(6))
def test_a_random_walk_ends_in_a_call(syntax: CallSyntax, seed: int) -> None:
    text = walk(grammar(syntax=syntax, choice="required", max_calls=1), seed)
    inner = text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
    body = json.loads(inner)
    name = body.get("function", body.get("name"))
    arguments = body.get("arguments", body.get("parameters"))
    assert name in ("search_bing", "get_weather")
    if name == "get_weather":
        assert arguments["unit"] in ("celsius", "fahrenheit")
        assert 1 <= arguments["days"] <= 7
    assert text == call(syntax, name, arguments) or "\\" in text or not text.isascii()


def test_three_hundred_functions_compile_fast_and_cost_nothing_later() -> None:
    def schema(number: int) -> CompiledSchema:
        kinds: dict[str, Json] = {"query": {"type": "string"}, f"n{number}": {"type": "integer", "maximum": number}}
        return compile_schema({"type": "object", "properties": kinds, "required": ["query"]})

    many = [(f"function_{number}", schema(number)) for number in range(300)]
    began = time.process_time()
    lark = grammar(many)
    found = matcher(lark)
    found.compute_bitmask()
    assert time.process_time() - began < 0.5
    before = call(ONE_LINE, "function_7", {"query": "a"})[:-4]
    assert found.consume_tokens(list(before.encode()))
    began = time.process_time()
    found.compute_bitmask()
    assert time.process_time() - began < 0.05


def test_the_reserve_covers_the_shortest_call() -> None:
    found = turn_grammar(OFFERED, syntax=INDENTED)
    assert found is not None
    assert len('{\n        "unit": "fahrenheit",\n        "days": 1\n    }\n}') <= found.reserve <= 256
    nothing = turn_grammar(OFFERED, syntax=INDENTED, choice="none")
    assert nothing is not None
    assert nothing.reserve == 0


def test_json_replies() -> None:
    anything = json_grammar({"type": "object"}).lark
    assert admits(anything, '{"a": [1, {"b": null}]}')
    assert not admits(anything, "[1]")
    assert not admits(anything, 'Text {"a": 1}')
    listed = json_grammar({"type": "array", "items": {"type": "integer"}, "minItems": 1}).lark
    assert admits(listed, "[1, 2]")
    assert not admits(listed, "[]")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_last_try_goes_on_from_what_was_kept(syntax: CallSyntax) -> None:
    first = call(syntax, arguments={"query": "\u00e9 ok"}).replace("\\u00e9", "é")
    kept = f"I look: {first}{syntax.between}{syntax.opening}search_bing{syntax.after_name}"
    lark = narrow(SEARCH, kept=kept, syntax=syntax).lark
    assert forced(lark).startswith(kept)
    assert admits(lark, kept + call(syntax)[len(syntax.opening + "search_bing" + syntax.after_name) :])
    assert LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(lark)) == ""
