"""Keep foreign text out of a chat template's hands: placeholders go in, segments come out.

A template's output is one text, in which nobody could tell a marker of the template from the same words said by a user.
So each foreign text is rendered as a placeholder and put in its place afterwards, as a segment that is not trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fclocal.dialects.dialect import FUNCTIONS, MARKERS, Segment
from fclocal.dialects.escape import dump, escape_markers
from fclocal.errors import ModelBroken
from fclocal.functions import Json

_RISKY = re.compile(r"[<\[|>\]｜▁]")
_BEGINNING_OF_TEXT = ("<|begin_of_text|>", "<s>", "<bos>")


@dataclass(frozen=True, slots=True)
class _Hidden:
    text: str
    quoted: str
    part: str
    needed: bool


@dataclass(slots=True)
class Placeholders:
    """The foreign texts of one prompt. `nonce` must not occur in any of them; `escaped` are markers to be made
    harmless inside JSON."""

    nonce: str
    escaped: Sequence[str] = ()
    _texts: list[_Hidden] = field(default_factory=list)

    def hide(self, text: str, part: str, *, quoted: str | None = None, needed: bool = True) -> str:
        """What to give the template for `text`. Blanks at the ends stay, so that it can strip them.

        `quoted` stands for `text` where the template puts it into a JSON string. `needed` text must come out again,
        or `restore` raises.
        """
        core = text.strip()
        if not core:
            return text
        start = text.index(core)
        self._texts.append(_Hidden(core, core if quoted is None else quoted.strip(), part, needed))
        # The quote shows whether the template wrote the text as it is or inside a JSON string.
        return f'{text[:start]}{self.nonce}"{len(self._texts) - 1}z{text[start + len(core) :]}'

    def hide_risky(self, value: Json, part: str) -> Json:
        """A JSON value in which every string that could spell a control token is hidden."""
        match value:
            case str():
                return self.hide(value, part, needed=False) if _RISKY.search(value) else value
            case Mapping():
                return {str(self.hide_risky(key, part)): self.hide_risky(inner, part) for key, inner in value.items()}
            case Sequence():
                return [self.hide_risky(inner, part) for inner in value]
            case _:
                return value

    def restore(self, rendered: str) -> tuple[Segment, ...]:
        """The template's text as segments: its own words are trusted, the foreign ones are not.

        Raises ModelBroken when the template changed or dropped a text that is needed.
        """
        return tuple(segment for segment in self._segments(rendered) if segment.text)

    def _segments(self, rendered: str) -> Iterator[Segment]:
        missing = {index for index, hidden in enumerate(self._texts) if hidden.needed}
        mark = re.compile(rf'{self.nonce}(?:(b)|(e)|(\\*)"(\d+)z)')
        inside_tool = False
        at = 0
        for found in mark.finditer(rendered):
            yield self._own(rendered[at : found.start()], inside_tool=inside_tool, first=at == 0)
            at = found.end()
            if found[4] is None:
                inside_tool = found[1] is not None
                continue
            index = int(found[4])
            missing.discard(index)
            yield self._foreign(index, depth=(len(found[3]) + 1).bit_length() - 1, inside_tool=inside_tool)
        yield self._own(rendered[at:], inside_tool=False, first=at == 0)
        if missing:
            part = self._texts[min(missing)].part
            raise ModelBroken(
                f"The model's chat template changes or drops the text of {part}.",
                "Choose another prompt format with --dialect.",
            )

    def _own(self, text: str, *, inside_tool: bool, first: bool) -> Segment:
        if self.nonce in text:
            raise ModelBroken(
                "The model's chat template changes the texts it is given.",
                "Choose another prompt format with --dialect.",
            )
        if first:
            beginning = next((mark for mark in _BEGINNING_OF_TEXT if text.startswith(mark)), "")
            text = text.removeprefix(beginning)
        return Segment(text, FUNCTIONS if inside_tool else MARKERS, trusted=not inside_tool)

    def _foreign(self, index: int, *, depth: int, inside_tool: bool) -> Segment:
        hidden = self._texts[index]
        text = hidden.quoted if depth else hidden.text
        for _ in range(depth):
            text = dump(text)[1:-1]
        part = FUNCTIONS if inside_tool else hidden.part
        return Segment(escape_markers(text, self.escaped) if depth else text, part)
