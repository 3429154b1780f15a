"""What a function gave back: a tree for JSON with parts, text for everything else, long text only as far as asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Static, Tree
from textual.widgets.tree import TreeNode

from fclocal.escapes import visible
from fclocal.functions import Json

MAX_SHOWN = 2_000
MAX_ALL = 200_000
MAX_ROWS = 200
MAX_LINE = 200
TREE_LINES = 10


class ResultView(Vertical):
    """Shows one result, `content` as the function gave it."""

    def __init__(self, content: str) -> None:
        super().__init__(classes="result")
        self._content = content
        self._value = _parsed(content)

    def compose(self) -> ComposeResult:
        if isinstance(self._value, Mapping | list) and self._value:
            tree: Tree[Json] = Tree(_label("result", self._value), data=self._value)
            tree.root.expand()
            _fill(tree.root, self._value)
            tree.styles.height = min(TREE_LINES, 1 + len(tree.root.children))
            yield tree
            return
        yield Static(Text(_cut(self._text, MAX_SHOWN)), markup=False)
        if len(self._text) > MAX_SHOWN:
            yield Button(f"Show all ({len(self._text):,} characters)", classes="show-all")

    @property
    def _text(self) -> str:
        return self._value if isinstance(self._value, str) else self._content

    @on(Tree.NodeExpanded)
    def unfold(self, event: Tree.NodeExpanded[Json]) -> None:
        """Children are made when they are looked at: a result may have a million of them."""
        event.stop()
        if not event.node.children and event.node.data is not None:
            _fill(event.node, event.node.data)
        rows = event.node.tree.last_line + 1 if event.node.tree.is_mounted else 1
        event.node.tree.styles.height = min(2 * TREE_LINES, max(rows, 2))

    @on(Button.Pressed, ".show-all")
    def show_all(self, event: Button.Pressed) -> None:
        """The rest of a long text, up to what a screen can hold."""
        event.stop()
        self.query_one(Static).update(Text(_cut(self._text, MAX_ALL)))
        event.button.remove()


def _parsed(content: str) -> Json:
    try:
        value: Json = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return value


def _fill(node: TreeNode[Json], value: Json) -> None:
    for count, (key, child) in enumerate(_children(value)):
        if count == MAX_ROWS:
            node.add_leaf(Text(f"... and {_size(value) - MAX_ROWS:,} more"))
            return
        if isinstance(child, Mapping | list) and child:
            node.add(_label(key, child), data=child)
        else:
            node.add_leaf(_label(key, child), data=child)


def _children(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from ((str(index), child) for index, child in enumerate(value))


def _size(value: Json) -> int:
    return len(value) if isinstance(value, Mapping | Sequence) else 0


def _label(key: str, value: Json) -> Text:
    label = Text(f"{_line(key)}: ", style="bold")
    if isinstance(value, Mapping) and value:
        return label.append(f"object with {len(value):,} member{'s' if len(value) > 1 else ''}", style="dim not bold")
    if isinstance(value, list) and value:
        return label.append(f"list of {len(value):,}", style="dim not bold")
    return label.append(_line(json.dumps(value, ensure_ascii=False)), style="not bold")


def _line(text: str) -> str:
    return visible(_cut(text, MAX_LINE)).replace("\n", "\\n").replace("\t", "\\t")


def _cut(text: str, limit: int) -> str:
    shown = visible(text[:limit])
    return shown if len(text) <= limit else f"{shown}\n... {len(text) - limit:,} characters are not shown"
