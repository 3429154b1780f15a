"""Functions are read from both forms and written back without loss."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fclocal.errors import UsageError
from fclocal.functions import Function, from_metadata, from_openai, parse_functions, to_metadata, to_openai

SEARCH = {
    "function": "search_bing",
    "description": "Search the web.",
    "arguments": [{"name": "query", "type": "string", "description": "The search query string"}],
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"], "default": "C"}},
            "required": ["city"],
        },
        "strict": True,
    },
}


def test_the_cards_list_of_objects_is_read_in_order() -> None:
    text = json.dumps(SEARCH, indent=4) + "\n\n" + json.dumps(SEARCH | {"function": "search_arxiv"}, indent=4)
    assert [function.name for function in parse_functions(text, origin="f")] == ["search_bing", "search_arxiv"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SEARCH),
        json.dumps([SEARCH]),
        json.dumps({"functionMetadata": SEARCH}),
        json.dumps({"functions": [SEARCH]}),
        "\ufeff" + json.dumps(SEARCH),
    ],
)
def test_one_function_in_every_wrapping(text: str) -> None:
    (function,) = parse_functions(text, origin="f")
    assert function.name == "search_bing"
    assert function.required == ("query",)
    assert function.metadata == SEARCH


def test_tools_and_functions_in_one_object_are_read_both() -> None:
    text = json.dumps({"functions": [{"name": "f"}], "tools": [{"type": "function", "function": {"name": "g"}}]})
    assert {function.name for function in parse_functions(text, origin="f")} == {"f", "g"}


def test_an_argument_is_required_unless_it_has_a_default_or_says_otherwise() -> None:
    arguments = [
        {"name": "a", "type": "string"},
        {"name": "b", "type": "int", "default": 3},
        {"name": "c", "type": "string", "required": False},
        {"name": "d", "type": "string", "required": True, "default": "x"},
    ]
    function = from_metadata({"function": "f", "arguments": arguments}, origin="f")
    assert function.required == ("a", "d")
    assert function.properties["b"] == {"type": "integer", "default": 3}


def test_openai_tools_come_back_as_they_were() -> None:
    function = from_openai(WEATHER, origin="f")
    assert to_openai(function) == WEATHER
    assert function.required == ("city",)


def test_flat_and_legacy_forms_of_openai() -> None:
    inner = WEATHER["function"]
    for entry in (inner, {"type": "function", **inner}):
        (function,) = parse_functions(json.dumps(entry), origin="f")
        assert (function.name, function.parameters) == ("weather", inner["parameters"])


SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer", "default": 2}, {"enum": ["a", "b"]}, True, {}]),
    lambda inner: st.one_of(
        st.builds(lambda item: {"type": "array", "items": item}, inner),
        st.builds(
            lambda items, required: {"type": "object", "properties": items, "required": required},
            st.dictionaries(st.sampled_from(["x", "name", "required"]), inner, max_size=2),
            st.lists(st.sampled_from(["x", "name"]), unique=True),
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1, max_size=5), SCHEMAS, max_size=4), st.booleans())
def test_the_seeds_form_keeps_every_schema(properties: dict[str, object], closed: bool) -> None:
    parameters: dict[str, object] = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    if closed:
        parameters["additionalProperties"] = False
    function = Function("f", "d", parameters)
    again = from_metadata(json.loads(json.dumps(to_metadata(function))), origin="f")
    assert again.parameters == parameters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "f.json is not JSON"),
        ("", "holds no functions"),
        ("[]", "holds no functions"),
        ("3", "must be a JSON object"),
        ("{}", "has no name"),
        ('{"function": "  "}', "has no name"),
        ('{"function": "a b"}', "cannot be a function name"),
        (json.dumps([SEARCH, SEARCH]), "two functions named 'search_bing'"),
        ('{"function": "f", "arguments": "x"}', "must be a list"),
        ('{"function": "f", "arguments": [{"type": "string"}]}', "has no name"),
        ('{"function": "f", "arguments": [{"name": "a"}, {"name": "a"}]}', "two arguments named 'a'"),
        ('{"name": "f", "parameters": []}', "must be a JSON Schema object"),
        ('{"type": "web_search", "name": "f"}', "tools of type 'web_search'"),
        ('{"function": "f", "description": 3}', "must be a string, not a number"),
        ('{"function": "f", "arguments": [{"name": "a", "default": NaN}]}', "NaN is not a JSON number"),
        ("[" * 50_000, "nested too deeply"),
        ('{"name": "f", "name": "g"}', "the key 'name' occurs twice"),
        ('{"name": "f", "parameters": {"properties": {"x": {}, "y": {}, "x": {}}}}', "the key 'x' occurs twice"),
        ('{"name": "f", "parameters": {"minimum": ' + "9" * 5000 + "}}", "5000 digits"),
    ],
)
def test_bad_files_are_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        parse_functions(text, origin="f.json")
