"""A form over the arguments of a call: one field each, checked against the schema while it is edited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Input, Label

from fclocal.chat.receipt import plain
from fclocal.escapes import visible
from fclocal.functions import Function, Json

if TYPE_CHECKING:
    from fclocal.grammar.check import Problem


class ArgumentForm(Vertical):
    """Posts `ArgumentForm.Edited` with valid arguments, or None when the user leaves them as they were."""

    @dataclass
    class Edited(Message):
        """What the user decided on."""

        arguments: Mapping[str, Json] | None

    def __init__(self, function: Function, arguments: Mapping[str, Json]) -> None:
        super().__init__(classes="form")
        self._function = function
        self._names = tuple(dict.fromkeys((*function.properties, *arguments)))
        self._given = arguments

    def compose(self) -> ComposeResult:
        for index, name in enumerate(self._names):
            needed = " *" if name in self._function.required else ""
            yield Label(visible(name) + needed, markup=False)
            yield Input(_as_text(self._given.get(name), present=name in self._given), id=f"field-{index}")
        yield Label("", id="form-problem", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("Run with these", id="form-run", variant="success", compact=True)
            yield Button("Leave as it was", id="form-leave", compact=True)

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    def value(self) -> Mapping[str, Json] | Problem:
        """The arguments as typed, empty optional fields left out; or what is wrong with them."""
        from fclocal.chat.grounding import coerce  # deferred: jsonschema is not needed for the first paint
        from fclocal.grammar.check import Problem, check

        arguments: dict[str, Json] = {}
        for index, name in enumerate(self._names):
            text = self.query_one(f"#field-{index}", Input).value
            if not text and name not in self._function.required:
                continue
            typed = coerce(text, self._function.properties.get(name))
            if isinstance(typed, Problem):
                return Problem(f"/{name}", typed.keyword, f"{name}: {typed.sentence}")
            arguments[name] = typed
        problems = check(arguments, self._function.parameters)
        return problems[0] if problems else arguments

    @on(Input.Changed)
    def validate_now(self) -> None:
        """Say what is wrong as it is typed."""
        value = self.value()
        self.query_one("#form-problem", Label).update("" if isinstance(value, Mapping) else visible(value.sentence))
        self.query_one("#form-run", Button).disabled = not isinstance(value, Mapping)

    @on(Button.Pressed, "#form-run")
    @on(Input.Submitted)
    def finish(self, event: Message) -> None:
        """Hand valid arguments on."""
        event.stop()
        value = self.value()
        if isinstance(value, Mapping):
            self.post_message(self.Edited(value))

    @on(Button.Pressed, "#form-leave")
    def leave(self, event: Button.Pressed) -> None:
        """Change nothing."""
        event.stop()
        self.post_message(self.Edited(None))


def _as_text(value: Json, *, present: bool) -> str:
    if not present:
        return ""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
