"""Training text is byte for byte what the product's dialect renders."""

from __future__ import annotations

import json
from random import Random

from recipe.bank import read_banks
from recipe.builtins import METADATA, builtins
from recipe.cases import parameters
from recipe.functions import offer
from recipe.render import block, call, response, turn

from fclocal.dialects.dialect import prompt_text
from fclocal.dialects.trelis import trelis_llama
from fclocal.functions import Function, from_metadata, from_openai
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, SystemMessage, UserMessage

DIALECT = trelis_llama(layout="one-line")


def rendered(messages, functions):
    return prompt_text(DIALECT.render(messages, functions, eos="</s>"))


def test_the_products_own_functions():
    shipped = [from_metadata(entry, origin="builtins") for entry in json.loads(METADATA.read_text(encoding="utf-8"))]
    made = [offer(Random(0), intent, everywhere=False, taken=set()) for intent in builtins()]
    assert rendered([UserMessage("Hello")], shipped) == block([function.metadata for function in made]) + turn("Hello")


def test_openai_tools_have_a_suffix_on_every_argument():
    rng = Random(3)
    for bank in read_banks():
        for intent in bank.intents:
            made = offer(rng, intent, everywhere=True, taken=set())
            schema = parameters(made)
            described = {slot.key: slot for slot in intent.slots}
            for argument, entry in zip(made.arguments, made.metadata["arguments"], strict=True):
                plain = (
                    entry["description"].removeprefix("(").rsplit(" (", 1)[0] if " (" in entry["description"] else ""
                )
                schema["properties"][argument.name]["description"] = plain
                default = described[argument.slot.key].default
                if not argument.required and default is not None:
                    schema["properties"][argument.name]["default"] = default
            tool = from_openai(
                {"name": made.name, "description": made.metadata["description"], "parameters": schema}, origin="tool"
            )
            assert rendered([UserMessage("Hi")], [tool]) == block([made.metadata]) + turn("Hi")


def test_several_turns_with_a_call_and_its_result():
    function = Function("a.b", "D", {"type": "object", "properties": {}})
    arguments = {"city": "Köln", "n": 3, "tags": ["x", "y"]}
    messages = [
        SystemMessage("Be brief."),
        UserMessage("First"),
        AssistantMessage("", calls=(FunctionCall("1", "a.b", arguments),)),
        FunctionResult("1", json.dumps({"status": "ok", "list": [1, 2.5, "ü"]}, ensure_ascii=False), name="a.b"),
        AssistantMessage("Done."),
        UserMessage("Next"),
    ]
    text = rendered(messages, [function])
    assert text.endswith(
        turn("First", "Be brief.")
        + call("a.b", arguments)
        + "</s>"
        + turn(response("a.b", {"status": "ok", "list": [1, 2.5, "ü"]}))
        + "Done.</s>"
        + turn("Next")
    )


def test_text_results():
    messages = [
        UserMessage("Read it"),
        AssistantMessage("", calls=(FunctionCall("1", "read_file", {"path": "a"}),)),
        FunctionResult("1", 'Line "one"\nline two', name="read_file"),
    ]
    assert rendered(messages, []).endswith(turn(response("read_file", 'Line "one"\nline two')))
