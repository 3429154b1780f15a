"""Choosing a dialect."""

from __future__ import annotations

import pytest

from fclocal.dialects.dialect import prompt_text
from fclocal.dialects.hermes import HermesDialect
from fclocal.dialects.llama3 import Llama3Dialect
from fclocal.dialects.select import NAMES, pick
from fclocal.errors import UsageError
from fclocal.grammar.syntax import INDENTED, ONE_LINE
from fclocal.messages import UserMessage

CHATML = '{{ messages[0].content }}<tool_call>\n{"name": "x", "arguments": {}}'


@pytest.mark.parametrize("name", NAMES)
def test_every_name_gives_its_dialect(name: str) -> None:
    assert pick(name, template=CHATML).name == name


def test_layout_belongs_to_the_dialect() -> None:
    assert pick("trelis-llama").syntax == INDENTED
    assert pick("trelis-llama", layout="one-line").syntax == ONE_LINE


@pytest.mark.parametrize(("name", "near"), [("trelis-lama", "trelis-llama"), ("Hermes", "hermes"), ("deepseek", "")])
def test_unknown_names_say_what_there_is(name: str, near: str) -> None:
    with pytest.raises(UsageError) as refused:
        pick(name)
    assert repr(name) in refused.value.sentence
    assert all(known in refused.value.cure for known in NAMES)
    assert (f"Did you mean {near!r}" in refused.value.cure) == bool(near)


def test_jinja_needs_a_template_that_is_understood() -> None:
    with pytest.raises(UsageError, match="no chat template"):
        pick("jinja")
    with pytest.raises(UsageError, match="not known here"):
        pick("jinja", template="[TOOL_CALLS]{{ messages }}")
    assert pick("jinja", metadata={"tokenizer.chat_template": CHATML}).name == "jinja"


def test_own_template_of_the_family_comes_before_the_built_in_form() -> None:
    own = pick("hermes", template=CHATML + "OWN")
    assert prompt_text(own.render([UserMessage("x")], (), eos="")).endswith("OWN")
    for other in (None, "{{ messages[0].content }}", "[TOOL_CALLS]"):
        assert pick("hermes", template=other) == HermesDialect()
    assert pick("llama3-json", template=CHATML) == Llama3Dialect()
