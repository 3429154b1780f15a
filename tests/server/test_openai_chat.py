"""POST /v1/chat/completions through the openai client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.server.conftest import BOOK, WEATHER, Running

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]

ORPHAN = {"role": "tool", "tool_call_id": "c9", "content": "x"}
CALLED = {
    "role": "assistant",
    "tool_calls": [
        {"id": name, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        for name in ("c1", "c2")
    ],
}


@pytest.fixture
def client(served: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def make(client: openai.OpenAI, **more: object) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(**{"model": "starter", "messages": ASK, **more})  # type: ignore[call-overload, no-any-return]


def stream(client: openai.OpenAI, **more: object) -> list[ChatCompletionChunk]:
    return list(client.chat.completions.create(**{"model": "starter", "messages": ASK, "stream": True, **more}))  # type: ignore[call-overload]


def test_text_reply_has_usage_and_names_the_model(client: openai.OpenAI) -> None:
    reply = make(client, messages=[{"role": "user", "content": "Hello"}], max_tokens=12)
    assert reply.model == "starter"
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert reply.usage and reply.usage.completion_tokens <= 12
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_required_call_is_valid_and_carries_its_receipt(client: openai.OpenAI) -> None:
    reply = make(client, tools=[WEATHER, BOOK], tool_choice="required", parallel_tool_calls=False)
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    (call,) = choice.message.tool_calls or ()
    assert call.type == "function" and call.id.startswith("call_")
    assert isinstance(json.loads(call.function.arguments), dict)
    (receipt,) = choice.message.model_extra["fclocal"]["receipts"]
    assert receipt["valid"] and receipt["grammar"] == "full" and receipt["model"] == "starter"
    assert set(receipt["arguments"]) == set(json.loads(call.function.arguments))


def test_named_and_allowed_choices_are_honoured(client: openai.OpenAI) -> None:
    named = make(client, tools=[WEATHER, BOOK], tool_choice={"type": "function", "function": {"name": "book_table"}})
    (call,) = named.choices[0].message.tool_calls or ()
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "book_table" and arguments["day"] in ("mon", "tue") and 1 <= arguments["people"] <= 20
    only = {"mode": "required", "tools": [{"type": "function", "function": {"name": "book_table"}}]}
    allowed = make(client, tools=[WEATHER, BOOK], tool_choice={"type": "allowed_tools", "allowed_tools": only})
    assert {call.function.name for call in allowed.choices[0].message.tool_calls or ()} == {"book_table"}


def test_choice_none_gives_text(client: openai.OpenAI) -> None:
    reply = make(client, tools=[WEATHER], tool_choice="none", max_tokens=20)
    assert reply.choices[0].message.tool_calls is None and reply.choices[0].message.content


def test_streamed_call_is_the_whole_call_in_pieces(client: openai.OpenAI) -> None:
    asked = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False, "seed": 1}
    whole = make(client, **asked).choices[0].message.tool_calls[0]  # type: ignore[index]
    chunks = stream(client, stream_options={"include_usage": True}, **asked)
    deltas = [piece for chunk in chunks for choice in chunk.choices for piece in choice.delta.tool_calls or ()]
    assert deltas[0].function and deltas[0].function.name == "get_weather" and deltas[0].id
    assert len(deltas) > 3
    text = "".join(delta.function.arguments or "" for delta in deltas if delta.function)
    assert json.loads(text) == json.loads(whole.function.arguments)
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens > 0 and not chunks[-1].choices
    finish = chunks[-2].choices[0]
    assert finish.finish_reason == "tool_calls"
    assert finish.delta.model_extra["fclocal"]["receipts"][0]["valid"]


def test_streamed_text_is_the_whole_text(client: openai.OpenAI) -> None:
    asked = {"messages": [{"role": "user", "content": "Tell me something"}], "temperature": 1.0, "seed": 5}
    whole = make(client, max_tokens=30, **asked).choices[0].message.content
    chunks = stream(client, max_tokens=30, **asked)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


def test_client_helper_builds_the_message(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="starter",
        messages=ASK,
        tools=[WEATHER],
        tool_choice="required",  # type: ignore[arg-type, list-item]
    ) as events:
        for _ in events:
            pass
        message = events.get_final_completion().choices[0].message
    assert message.tool_calls and json.loads(message.tool_calls[0].function.arguments)


def test_a_result_comes_back_into_the_conversation(client: openai.OpenAI) -> None:
    first = make(client, tools=[WEATHER], tool_choice="required").choices[0].message
    assert first.tool_calls
    results = [{"role": "tool", "tool_call_id": call.id, "content": '{"c": 21}'} for call in first.tool_calls]
    reply = make(client, messages=[*ASK, first.model_dump(exclude_none=True), *results], tools=[WEATHER])
    assert reply.choices[0].finish_reason


@pytest.mark.parametrize(
    "history",
    [
        [
            CALLED,
            {"role": "tool", "tool_call_id": "c2", "content": "1"},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
        ],
        [CALLED, {"role": "tool", "tool_call_id": "c1", "content": "1"}, {"role": "user", "content": "And?"}],
        [CALLED, {"role": "user", "content": "Wait"}, {"role": "tool", "tool_call_id": "c1", "content": "1"}],
        [
            {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "x", "content": "1"},
        ],
        [{"role": "assistant", "function_call": {"name": "f"}}, {"role": "function", "name": "f", "content": "1"}],
        [{"role": "function", "name": "f", "content": "1"}],
    ],
)
def test_results_are_taken_in_every_form_that_clients_send(client: openai.OpenAI, history: list[object]) -> None:
    assert make(client, messages=[*ASK, *history], max_tokens=2).choices


def test_json_formats_are_held_to(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    value = json.loads(make(client, response_format=wanted).choices[0].message.content or "")
    assert isinstance(value["n"], int) and value["n"] <= 9
    text = make(client, response_format={"type": "json_object"}, max_tokens=200).choices[0].message.content
    assert isinstance(json.loads(text or ""), dict)


def test_json_format_beside_tools_holds_the_text(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    for seed in range(6):
        asked = {"response_format": wanted, "tools": [WEATHER], "temperature": 2.0, "seed": seed}
        message = make(client, **asked, tool_choice="none" if seed % 2 else "auto").choices[0].message
        if message.tool_calls:
            assert "city" in json.loads(message.tool_calls[0].function.arguments)
        else:
            assert json.loads(message.content or "")["n"] <= 9
        assert seed % 2 == 0 or message.content


def test_legacy_functions_are_answered_in_their_form(client: openai.OpenAI) -> None:
    reply = make(client, functions=[WEATHER["function"]], function_call={"name": "get_weather"})
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "function_call" and message.tool_calls is None
    assert message.function_call and "city" in json.loads(message.function_call.arguments)
    chunks = stream(client, functions=[WEATHER["function"]], function_call={"name": "get_weather"})
    pieces = [chunk.choices[0].delta.function_call for chunk in chunks if chunk.choices[0].delta.function_call]
    assert "city" in json.loads("".join(piece.arguments or "" for piece in pieces))


def test_choices_have_their_own_seeds(client: openai.OpenAI) -> None:
    # A choice of four that nothing in the request decides: texts of this model hardly ever differ, and where very many
    # tokens are about as likely, the rounding of another place in the KV cache draws another one.
    one = {"type": "string", "enum": ["north", "south", "east", "west"]}
    pick = {"name": "pick", "parameters": {"type": "object", "properties": {"one": one}, "required": ["one"]}}
    asked = {"messages": [{"role": "user", "content": "Pick any"}], "temperature": 2.0, "seed": 3, "n": 3}
    asked |= {"tools": [{"type": "function", "function": pick}], "tool_choice": "required"}

    def picked() -> list[str]:
        choices = make(client, **asked, parallel_tool_calls=False).choices
        return [json.loads(choice.message.tool_calls[0].function.arguments)["one"] for choice in choices]  # type: ignore[index, union-attr]

    found = picked()
    assert len(set(found)) > 1
    assert found == picked()
    streamed = [""] * 3
    for chunk in stream(client, **asked, parallel_tool_calls=False):
        for choice in chunk.choices:
            streamed[choice.index] += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or [])  # type: ignore[union-attr]
    assert [json.loads(text)["one"] for text in streamed] == found


def test_logprobs_spell_the_text(client: openai.OpenAI) -> None:
    asked = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "logprobs": True, "top_logprobs": 3}
    choice = make(client, **asked).choices[0]
    assert choice.logprobs and choice.logprobs.content
    spelled = b"".join(bytes(token.bytes or []) for token in choice.logprobs.content)
    assert spelled.decode() == choice.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 3 for token in choice.logprobs.content)
    streamed = [
        token for chunk in stream(client, **asked) for c in chunk.choices if c.logprobs for token in c.logprobs.content
    ]
    assert [token.token for token in streamed] == [token.token for token in choice.logprobs.content]


def test_stop_and_length_end_a_reply(client: openai.OpenAI) -> None:
    text = make(client, messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content or ""
    mark = text.strip()[2:4]
    cut = make(client, messages=[{"role": "user", "content": "Hello"}], stop=[mark]).choices[0]
    assert cut.finish_reason == "stop" and cut.message.content == text[: text.index(mark)]
    short = make(client, messages=[{"role": "user", "content": "Hello"}], max_completion_tokens=2).choices[0]
    assert short.finish_reason == "length"


@pytest.mark.parametrize("stop", ["Par", "city", "weather", '"function"'])
def test_a_stop_string_inside_a_call_is_named_as_its_end(client: openai.OpenAI, stop: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="A stop string ended the call"):
        make(client, tools=[WEATHER], tool_choice="required", stop=[stop])
    with pytest.raises(openai.UnprocessableEntityError, match="cut off at 3 tokens"):
        make(client, tools=[WEATHER], tool_choice="required", max_tokens=3)


def test_developer_messages_and_parts_reach_the_prompt(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    plain = make(client, messages=[{"role": "user", "content": parts}], max_tokens=2).usage
    led = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert plain and make(client, messages=led, max_tokens=2).usage.prompt_tokens > plain.prompt_tokens  # type: ignore[union-attr]


def test_unknown_fields_are_named(client: openai.OpenAI) -> None:
    reply = make(client, max_tokens=2, extra_body={"mirostat": 2})
    assert reply.choices[0].message.model_extra["fclocal"]["ignored"] == ["mirostat"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
        ({"messages": [*ASK, {"role": "assistant", "content": "It"}]}, "messages[1].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [*ASK, ORPHAN]}, "messages[1].tool_call_id"),
        ({"messages": [*ASK, CALLED, ORPHAN]}, "messages[2].tool_call_id"),
        ({"temperature": -1}, "temperature"),
        ({"n": 1000}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(client: openai.OpenAI, change: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        make(client, **change)
    assert refused.value.param == param and refused.value.message


def test_a_prompt_that_does_not_fit_is_counted(client: openai.OpenAI) -> None:
    long = [{"role": "user", "content": "word " * 20_000}]
    for make_it in (make, stream):
        with pytest.raises(openai.BadRequestError) as refused:
            make_it(client, messages=long)
        assert refused.value.code == "context_length_exceeded"
        body = refused.value.body
        assert isinstance(body, dict) and body["fclocal"]["parts"]["message 1: user"] > 4096


def test_broken_tool_is_set_aside_and_said(client: openai.OpenAI) -> None:
    broken = {"type": "function", "function": {"name": "bad", "parameters": {"type": "no such type"}}}
    reply = make(client, tools=[WEATHER, broken], tool_choice="required")
    assert any("bad" in note for note in reply.choices[0].message.model_extra["fclocal"]["notes"])


def test_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        make(client, model="gpt-4o")
    assert missing.value.code == "model_not_found"
    assert "/" not in missing.value.message.split("Try:")[0]


def test_a_path_is_not_a_model_name(client: openai.OpenAI) -> None:
    for path in ("/etc/passwd", "./models/x.gguf", "~/x.gguf"):
        with pytest.raises(openai.NotFoundError):
            make(client, model=path)


def test_a_required_call_comes_also_beside_a_json_format(client: openai.OpenAI) -> None:
    wanted = {"type": "json_object"}
    reply = make(client, response_format=wanted, tools=[WEATHER], tool_choice="required")
    assert reply.choices[0].message.tool_calls
