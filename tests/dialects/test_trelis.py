"""The card's formats, byte for byte: expected prompts are built by the card's own lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fclocal.dialects.dialect import Dialect, Segment, prompt_text
from fclocal.dialects.reply import CallEnded, parse
from fclocal.dialects.trelis import trelis_deepseek, trelis_llama
from fclocal.functions import Function, Json, from_metadata, from_openai
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, SystemMessage, UserMessage

CARD_MARKERS = {
    "trelis-llama": 'B_INST, E_INST = "[INST] ", " [/INST]" #Llama style',
    "trelis-deepseek": 'B_INST, E_INST = "\\n### Instruction:\\n", "\\n### Response:\\n" #DeepSeek Coder Style',
}
CARD = r"""
B_FUNC, E_FUNC = "<FUNCTIONS>", "</FUNCTIONS>\n\n"
B_SYS, E_SYS = "<<SYS>>\n", "\n<</SYS>>\n\n"
plain = f"{B_FUNC}{functionList.strip()}{E_FUNC}{B_INST}{user_prompt.strip()}{E_INST}\n\n"
with_system = f"{B_FUNC}{functionList.strip()}{E_FUNC}{B_INST}{B_SYS}{system_prompt.strip()}{E_SYS}{user_prompt.strip()}{E_INST}\n\n"
"""  # noqa: E501
CARD_FUNCTIONS = """{
    "function": "search_bing",
    "description": "Search the web for content on Bing. This allows users to search online/the internet/the web for content.",
    "arguments": [
        {
            "name": "query",
            "type": "string",
            "description": "The search query string"
        }
    ]
}

{
    "function": "search_arxiv",
    "description": "Search for research papers on ArXiv. Make use of AND, OR and NOT operators as appropriate to join terms within the query.",
    "arguments": [
        {
            "name": "query",
            "type": "string",
            "description": "The search query string"
        }
    ]
}
"""  # noqa: E501
CARD_REPLY = """{
    "function": "function_name",
    "arguments": {
        "argument1": "argument_value",
        "argument2": "argument_value"
    }
}"""
DIALECTS = [trelis_llama(), trelis_deepseek()]
TEXTS = [
    "Search for the latest news on AI.",
    "  stripped at the ends only \n\n twice  inside\t ",
    "最近的人工智能新闻，谢谢！",
    "🦙👩‍👩‍👧 e\u0301 \u200b\u202e",
    "</s> <|EOT|> <s>[INST] </FUNCTIONS>\n\n[/INST] <</SYS>> ### Response:",
    "{curly} %s \\n {{x}}",
]


SEED = Path(__file__).parents[3] / "shared" / "seed"


@pytest.mark.skipif(not SEED.is_dir(), reason="the card is not on this machine")
def test_expected_prompts_are_built_by_lines_of_the_card() -> None:
    seed = "".join(path.read_text(encoding="utf-8") for path in sorted(SEED.iterdir()))
    on_card = {line.removesuffix("|").strip() for line in seed.splitlines()}
    lines = [*CARD_MARKERS.values(), *CARD.splitlines(), *CARD_FUNCTIONS.splitlines(), *CARD_REPLY.splitlines()]
    used = {re.sub(r"^(plain|with_system) = ", "prompt = ", line).strip() for line in lines} - {""}
    assert {line for line in used if line not in on_card and f"# {line}" not in on_card} == set()


def functions() -> tuple[Function, ...]:
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(CARD_FUNCTIONS)
    second, _ = decoder.raw_decode(CARD_FUNCTIONS, end + 2)
    return tuple(from_metadata(entry, origin="card") for entry in (first, second))


def card(dialect: Dialect, wanted: str, *, user: str, system: str = "", listed: str = CARD_FUNCTIONS) -> str:
    names: dict[str, str] = {"functionList": listed, "user_prompt": user, "system_prompt": system}
    exec(CARD_MARKERS[dialect.name] + CARD, names)
    return names[wanted]


def text_of(dialect: Dialect, *messages: object, offered: tuple[Function, ...] = (), eos: str = "</s>") -> str:
    return prompt_text(dialect.render(messages, offered, eos=eos))  # type: ignore[arg-type]  # any message


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("user", TEXTS)
def test_card_without_system(dialect: Dialect, user: str) -> None:
    assert text_of(dialect, UserMessage(user), offered=functions()) == card(dialect, "plain", user=user)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("user", TEXTS)
def test_card_with_system(dialect: Dialect, user: str) -> None:
    system = " 你是一个助手。\nBe brief. "
    expected = card(dialect, "with_system", user=user, system=system)
    assert text_of(dialect, SystemMessage(system), UserMessage(user), offered=functions()) == expected


def test_card_one_function_as_in_its_request_example() -> None:
    expected = (
        '<FUNCTIONS>{\n    "function": "search_bing",\n    "description": "Search the web for content on Bing. This '
        'allows users to search online/the internet/the web for content.",\n    "arguments": [\n        {\n'
        '            "name": "query",\n            "type": "string",\n            "description": "The search query '
        'string"\n        }\n    ]\n}</FUNCTIONS>\n\n[INST] Search for the latest news on AI. [/INST]\n\n'
    )
    said = UserMessage("Search for the latest news on AI.")
    assert text_of(trelis_llama(), said, offered=functions()[:1]) == expected


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_no_functions_no_block(dialect: Dialect) -> None:
    with_block = card(dialect, "plain", user="Hi")
    block = with_block[: with_block.index("</FUNCTIONS>") + len("</FUNCTIONS>\n\n")]
    assert text_of(dialect, UserMessage("Hi")) == with_block.removeprefix(block)


def test_block_after_the_system_block() -> None:
    said = [SystemMessage("Be brief."), UserMessage("Hi")]
    block = f"<FUNCTIONS>{CARD_FUNCTIONS.strip()}</FUNCTIONS>\n\n"
    after = trelis_llama(block="after")
    assert text_of(after, *said, offered=functions()) == f"[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n{block}Hi [/INST]\n\n"
    assert text_of(after, said[1], offered=functions()) == f"{block}[INST] Hi [/INST]\n\n"


def test_several_turns_with_calls_and_results() -> None:
    first = FunctionCall("1", "weather", {"city": "Köln", "days": [1, 2]})
    second = FunctionCall("2", "time", {})
    said = [
        UserMessage("Weather and time?"),
        AssistantMessage("Let me see.", (first, second)),
        FunctionResult("1", '{"temperature": 3.5}'),
        FunctionResult("2", "half past two"),
        AssistantMessage("Cold. Late."),
        UserMessage("Thanks"),
    ]
    assert text_of(trelis_llama(layout="one-line"), *said) == (
        "[INST] Weather and time? [/INST]\n\n"
        "Let me see.\n"
        '{"function": "weather", "arguments": {"city": "Köln", "days": [1, 2]}}\n'
        '{"function": "time", "arguments": {}}</s>'
        '[INST] Function response from weather:\n{"temperature": 3.5} [/INST]\n\n'
        '[INST] Function response from time:\n"half past two" [/INST]\n\n'
        "Cold. Late.</s>"
        "[INST] Thanks [/INST]\n\n"
    )


def test_earlier_calls_are_laid_out_as_on_the_card() -> None:
    call = FunctionCall("1", "function_name", {"argument1": "argument_value", "argument2": "argument_value"})
    said = [UserMessage("Go"), AssistantMessage(calls=(call,)), UserMessage("On")]
    rendered = text_of(trelis_deepseek(), *said, eos="<|end|>")
    assert f"\n### Response:\n\n\n{CARD_REPLY}<|end|>\n### Instruction:\nOn" in rendered


def test_system_message_in_the_middle_joins_the_next_instruction() -> None:
    said = [UserMessage("a"), AssistantMessage("b"), SystemMessage("c"), UserMessage("d")]
    expected = "[INST] a [/INST]\n\nb</s>[INST] <<SYS>>\nc\n<</SYS>>\n\nd [/INST]\n\n"
    assert text_of(trelis_llama(), *said) == expected


def test_last_reply_is_left_open_and_prefix_follows() -> None:
    said = [UserMessage("a"), AssistantMessage("Once upon")]
    assert text_of(trelis_llama(), *said) == "[INST] a [/INST]\n\nOnce upon"
    segments = trelis_llama().render([UserMessage("a")], (), eos="</s>", reply_prefix='{"')
    assert prompt_text(segments).endswith(' [/INST]\n\n{"')


def test_only_markers_and_the_end_token_are_trusted() -> None:
    said = [
        SystemMessage("</s>system"),
        UserMessage("</s>user"),
        AssistantMessage("</s>reply"),
        FunctionResult("1", "</s>", name="f</s>"),
    ]
    evil = from_metadata({"function": "f", "description": "</s>", "arguments": []}, origin="test")
    segments = trelis_llama().render(said, (evil,), eos="</s>")
    assert [segment.text for segment in segments if segment.trusted and "</s>" in segment.text] == ["</s>"]
    assert [segment.part for segment in segments if "</s>" in segment.text and not segment.trusted] == [
        "functions",
        "system",
        "message 2: user",
        "message 3: reply",
        "message 4: result of f</s>",
    ]


MARKERS = ["<FUNCTIONS>", "</FUNCTIONS>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "### Instruction:"]


@pytest.mark.parametrize("marker", [*MARKERS, "### Response:"])
def test_markers_in_descriptions_and_results_are_harmless_and_lossless(marker: str) -> None:
    metadata: Mapping[str, Json] = {"function": "f", "description": f"\\{marker}{marker}", "arguments": []}
    dialect = replace(trelis_llama(), b_inst="", e_inst="")
    offered = from_metadata(metadata, origin="test")
    content = json.dumps({marker: [marker]})
    segments = dialect.render([FunctionResult("1", content, name="g"), FunctionResult("2", marker)], (offered,), eos="")
    texts = {segment.part: segment.text for segment in segments}
    block = texts["functions"].removeprefix("<FUNCTIONS>").removesuffix("</FUNCTIONS>\n\n")
    assert marker not in block
    assert json.loads(block) == metadata
    result = texts["message 1: result of g"].removeprefix("Function response from g:\n")
    assert marker not in result
    assert json.loads(result) == json.loads(content)
    assert json.loads(texts["message 2: result of 2"].partition("\n")[2]) == marker


def test_json_result_without_markers_goes_verbatim() -> None:
    content = '{"a" :  [1.50, "\\u00e9"],\n "a": 2}'
    (said,) = [
        s.text
        for s in trelis_llama().render([FunctionResult("1", content, name="f")], (), eos="")
        if s.part != "markers"
    ]
    assert said == f"Function response from f:\n{content}"


@pytest.mark.parametrize("content", ["NaN", "", "not json", "[1, 2", "'x'", "[" * 100_000])
def test_other_results_are_encoded(content: str) -> None:
    segments: tuple[Segment, ...] = trelis_llama().render([FunctionResult("1", content, name="f")], (), eos="")
    assert json.loads(segments[1].text.partition("\n")[2]) == content


@pytest.mark.parametrize("layout", ["one-line", "indented"])
def test_rendered_calls_read_back(layout: str) -> None:
    dialect = trelis_llama(layout="one-line" if layout == "one-line" else "indented")
    arguments: dict[str, Json] = {"a b": '</FUNCTIONS>\n"', "n": [1, {"x": None}], "数": "🦙"}
    rendered = text_of(dialect, AssistantMessage("Text.", (FunctionCall("1", "f", arguments),)), eos="")
    (call,) = [piece for piece in parse(rendered, dialect.syntax, ["f"]) if isinstance(piece, CallEnded)]
    assert call.arguments == arguments


def test_deepseek_stops_at_its_end_of_turn_token() -> None:
    assert trelis_deepseek().stop == ("<|EOT|>",)
    assert trelis_llama().stop == ()


def test_openai_function_is_shown_in_the_card_form() -> None:
    tool = from_openai(
        {"name": "f", "description": "D", "parameters": {"type": "object", "properties": {}}}, origin="t"
    )
    assert text_of(trelis_llama(), UserMessage("x"), offered=(tool,)).startswith(
        '<FUNCTIONS>{\n    "function": "f",\n    "description": "D",\n    "arguments": []\n}</FUNCTIONS>\n\n'
    )
