"""The other wire formats through their own clients: responses, completions, llama.cpp, Anthropic, Ollama."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import ollama
import openai
import pytest
import requests

from tests.server.conftest import BOOK, WEATHER, Running

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
FLAT = {"type": "function", **WEATHER["function"]}  # type: ignore[dict-item]
TOOL = {"name": "get_weather", "description": "Weather", "input_schema": WEATHER["function"]["parameters"]}  # type: ignore[index]


@pytest.fixture
def openai_client(served: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def claude(served: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def llama(served: Running) -> Iterator[ollama.Client]:
    client = ollama.Client(served.url)
    yield client
    client._client.close()


# OpenAI: completions, responses, models


def test_completions_continue_each_prompt(openai_client: openai.OpenAI) -> None:
    prompts = ["[INST] Hello [/INST]\n\n", "[INST] Bye [/INST]\n\n"]
    reply = openai_client.completions.create(model="starter", prompt=prompts, max_tokens=6, logprobs=2, seed=1)
    assert [choice.index for choice in reply.choices] == [0, 1]
    for choice in reply.choices:
        assert choice.logprobs and choice.logprobs.tokens
        assert "".join(choice.logprobs.tokens) == choice.text
    chunks = list(openai_client.completions.create(model="starter", prompt=prompts[0], max_tokens=6, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == reply.choices[0].text
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def test_completions_echo_and_tokens_as_prompt(openai_client: openai.OpenAI, served: Running) -> None:
    tokens = requests.post(f"{served.url}/tokenize", json={"content": "Hello"}, timeout=20).json()["tokens"]
    by_text = openai_client.completions.create(model="starter", prompt="Hello", max_tokens=4, echo=True, temperature=0)
    by_token = openai_client.completions.create(model="starter", prompt=tokens, max_tokens=4, temperature=0)
    assert by_text.choices[0].text == "Hello" + by_token.choices[0].text


def test_responses_hold_calls_and_results(openai_client: openai.OpenAI) -> None:
    first = openai_client.responses.create(
        model="starter", input="Weather in Paris?", tools=[FLAT], tool_choice="required"
    )  # type: ignore[call-overload]
    assert first.status == "completed"
    call = first.output[0]
    assert call.type == "function_call" and "city" in json.loads(call.arguments)
    assert call.model_extra["fclocal"]["valid"]
    said = [{"role": "user", "content": "Weather in Paris?"}, *(item.to_dict() for item in first.output)]
    results = [{"type": "function_call_output", "call_id": item.call_id, "output": '{"c": 3}'} for item in first.output]
    again = openai_client.responses.create(model="starter", input=[*said, *results], tools=[FLAT], tool_choice="none")  # type: ignore[call-overload]
    assert again.output_text


def test_responses_stream_every_event_in_order(openai_client: openai.OpenAI) -> None:
    choice = {"type": "function", "name": "get_weather"}
    with openai_client.responses.stream(
        model="starter",
        input="Weather in Oslo?",
        tools=[FLAT],
        tool_choice=choice,  # type: ignore[list-item, arg-type]
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-3:] == ["response.function_call_arguments.done", "response.output_item.done", "response.completed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert deltas == final.output[0].arguments  # type: ignore[union-attr]


def test_responses_text_format_and_limits(openai_client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    form = {"format": {"type": "json_schema", "name": "ok", "schema": schema}}
    reply = openai_client.responses.create(model="starter", input="Hi", text=form)  # type: ignore[call-overload]
    assert isinstance(json.loads(reply.output_text)["ok"], bool)
    short = openai_client.responses.create(model="starter", input="Tell me a story", max_output_tokens=2)
    assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"  # type: ignore[union-attr]
    with pytest.raises(openai.BadRequestError, match="not stored"):
        openai_client.responses.create(model="starter", input="Hi", previous_response_id="resp_1")


def test_models_are_listed_and_embeddings_refused(openai_client: openai.OpenAI) -> None:
    assert [model.id for model in openai_client.models.list()] == ["starter"]
    assert openai_client.models.retrieve("starter").id == "starter"
    with pytest.raises(openai.BadRequestError, match="no embeddings"):
        openai_client.embeddings.create(model="starter", input="x")


# llama.cpp


def test_the_cards_own_snippet(served: Running) -> None:
    b_func, e_func = "<FUNCTIONS>", "</FUNCTIONS>\n\n"
    b_inst, e_inst = "[INST] ", " [/INST]"
    function_metadata = {
        "function": "search_bing",
        "description": "Search the web for content on Bing.",
        "arguments": [{"name": "query", "type": "string", "description": "The search query string"}],
    }
    user_prompt = "Search for the latest news on AI."
    function_list = json.dumps(function_metadata, indent=4)
    prompt = f"{b_func}{function_list.strip()}{e_func}{b_inst}{user_prompt.strip()}{e_inst}\n\n"
    response = requests.post(f"http://localhost:{served.port}/completion", json={"prompt": prompt}, timeout=60)
    value = response.json()
    assert value["stop"] and value["content"] and value["timings"]["predicted_n"] == value["tokens_predicted"]
    assert value["prompt"] == prompt


def test_completion_holds_to_a_schema_and_streams_the_same(served: Running) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    body = {"prompt": "[INST] a? [/INST]", "json_schema": schema, "seed": 1, "temperature": 1.0}
    whole = requests.post(f"{served.url}/completion", json=body, timeout=60).json()
    assert json.loads(whole["content"])["a"] in (1, 2)
    with requests.post(f"{served.url}/completion", json={**body, "stream": True}, stream=True, timeout=60) as streamed:
        lines = [json.loads(line[6:]) for line in streamed.iter_lines() if line]
    assert "".join(line["content"] for line in lines) == whole["content"]
    assert [line["stop"] for line in lines[-2:]] == [False, True]


def test_completion_stops_and_limits(served: Running) -> None:
    body = {"prompt": "[INST] Hello [/INST]\n\n"}
    text = requests.post(f"{served.url}/completion", json=body, timeout=60).json()["content"]
    cut = requests.post(f"{served.url}/completion", json={**body, "stop": [text[3:5]]}, timeout=60).json()
    assert cut["stop_type"] == "word" and cut["content"] == text[: text.index(text[3:5])]
    assert (
        requests.post(f"{served.url}/completion", json={**body, "n_predict": 1}, timeout=60).json()["stop_type"]
        == "limit"
    )
    two = requests.post(f"{served.url}/completion", json={"prompt": ["a", [5, "b"]], "n_predict": 1}, timeout=60).json()
    assert [answer["index"] for answer in two] == [0, 1]


def test_tokenize_and_detokenize_are_inverse(served: Running) -> None:
    text = 'Grüße {"a": 1} 日本'
    tokens = requests.post(f"{served.url}/tokenize", json={"content": text}, timeout=20).json()["tokens"]
    back = requests.post(f"{served.url}/detokenize", json={"tokens": tokens}, timeout=20).json()["content"]
    assert back.strip() == text
    assert requests.post(f"{served.url}/detokenize", json={"tokens": [10**7]}, timeout=20).status_code == 400
    assert requests.get(f"{served.url}/props", timeout=20).json()["total_slots"] == 4
    assert requests.get(f"{served.url}/health", timeout=20).json() == {"status": "ok"}


# Anthropic


def test_messages_call_a_tool_and_take_its_result(claude: anthropic.Anthropic) -> None:
    asked = {"model": "starter", "max_tokens": 64, "tools": [TOOL], "system": "Help."}
    first = claude.messages.create(messages=ASK, tool_choice={"type": "any"}, **asked)  # type: ignore[call-overload]
    assert first.stop_reason == "tool_use"
    use = first.content[-1]
    assert use.type == "tool_use" and "city" in use.input
    assert first.model_extra["fclocal"]["receipts"][0]["valid"]
    blocks = [block.to_dict() for block in first.content]
    results = [
        {"type": "tool_result", "tool_use_id": b["id"], "content": [{"type": "text", "text": "3"}]} for b in blocks
    ]
    said = [*ASK, {"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
    again = claude.messages.create(messages=said, tool_choice={"type": "none"}, **asked)  # type: ignore[call-overload]
    assert again.content[0].type == "text" and again.usage.output_tokens > 0


def test_messages_stream(claude: anthropic.Anthropic) -> None:
    choice = {"type": "tool", "name": "get_weather"}
    with claude.messages.stream(
        model="starter",
        max_tokens=64,
        messages=ASK,
        tools=[TOOL],
        tool_choice=choice,  # type: ignore[list-item, arg-type]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[:2] == ["message_start", "content_block_start"] and kinds[-1] == "message_stop"
    assert final.stop_reason == "tool_use" and "city" in final.content[0].input  # type: ignore[union-attr]
    hello = [{"role": "user", "content": "Hello"}]
    with claude.messages.stream(model="starter", max_tokens=9, messages=hello) as stream:  # type: ignore[arg-type]
        text = "".join(stream.text_stream)
    assert text == claude.messages.create(model="starter", max_tokens=9, messages=hello).content[0].text  # type: ignore[arg-type, union-attr]


def test_messages_refuse_in_their_shape(claude: anthropic.Anthropic) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model="starter", max_tokens=9, messages=[{"role": "user", "content": [image]}])  # type: ignore[list-item, typeddict-item]
    assert refused.value.body["type"] == "error" and "image" in refused.value.body["error"]["message"]  # type: ignore[index]
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="claude-x", max_tokens=9, messages=ASK)  # type: ignore[arg-type]
    counted = claude.messages.count_tokens(model="starter", messages=ASK, tools=[TOOL])  # type: ignore[list-item, arg-type]
    assert counted.input_tokens == sum(counted.model_extra["fclocal"]["parts"].values())


# Ollama


def test_ollama_chat_with_tools(llama: ollama.Client) -> None:
    reply = llama.chat("starter", ASK, tools=[WEATHER, BOOK], options={"num_predict": 60})
    assert reply.done and reply.eval_count and reply.prompt_eval_count
    told = {"role": "tool", "tool_name": "get_weather", "content": "3 C"}
    assert llama.chat("starter", [*ASK, reply.message, told], tools=[WEATHER]).done_reason in ("stop", "length")
    lines = list(llama.chat("starter", ASK, tools=[WEATHER, BOOK], stream=True, options={"num_predict": 60}))
    assert "".join(line.message.content or "" for line in lines) == reply.message.content
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    assert calls == list(reply.message.tool_calls or ())


def test_ollama_generate_and_format(llama: ollama.Client) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    assert isinstance(json.loads(llama.generate("starter", "Hi", format=schema).response)["ok"], bool)
    raw = llama.generate("starter", "[INST] Hello [/INST]\n\n", raw=True, options={"num_predict": 5})
    assert raw.done_reason == "length" and raw.eval_count == 5
    ignored = llama.generate("starter", "Hi", options={"num_ctx": 99, "num_predict": 2})
    assert ignored.model_extra is None or "num_ctx" not in ignored.model_extra


def test_ollama_lists_shows_and_loads(llama: ollama.Client) -> None:
    assert [model.model for model in llama.list().models] == ["starter"]
    assert "tools" in llama.show("starter").capabilities  # type: ignore[operator]
    assert llama.generate("starter:latest").done_reason == "load"
    assert [model.model for model in llama.ps().models] == ["starter"]
    with pytest.raises(ollama.ResponseError) as missing:
        llama.chat("nope", ASK)
    assert missing.value.status_code == 404
