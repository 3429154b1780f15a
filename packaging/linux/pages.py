"""The help pages of every command as values: read from fclocal/cli/help.txt, so that no page says anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HELP = Path(__file__).parents[2] / "fclocal" / "cli" / "help.txt"
SECTIONS = ("Arguments", "Options", "Commands")
_ENTRY = re.compile(r"  (?P<names>\S.*?)(?:\s{2,}(?P<text>.*))?$")


@dataclass(frozen=True, slots=True)
class Entry:
    """An argument, an option or a command, and what is said about it. `names` has the value's place: `--host <str>`."""

    names: str
    text: str

    @property
    def flags(self) -> tuple[str, ...]:
        """`-h` and `--help` of `-h, --help`."""
        return tuple(word.strip(",") for word in self.names.split() if word.startswith("-"))

    @property
    def value(self) -> str:
        """What stands for the value: `NAME|PATH`, `<int range>`; empty for a switch."""
        return re.sub(r"^(?:--?[\w-]+,? ?)+", "", self.names)

    @property
    def choices(self) -> tuple[str, ...]:
        """The fixed words among the alternatives of the value; those in capitals are for the user to replace."""
        return tuple(word for word in self.value.split("|") if "|" in self.value and word.islower())

    @property
    def is_path(self) -> bool:
        """Whether files can be completed."""
        return bool(re.search(r"FILE|PATH|FOLDER|<path>", self.value))


@dataclass(frozen=True, slots=True)
class Page:
    """One command. `words` is empty for `fclocal` itself, `tools check` for one in a group."""

    words: str
    usage: str
    paragraphs: tuple[str, ...]
    arguments: tuple[Entry, ...]
    options: tuple[Entry, ...]
    commands: tuple[Entry, ...]

    @property
    def summary(self) -> str:
        """The first sentence, without its full stop."""
        return re.split(r"[.:](?:\s|$)", self.paragraphs[0])[0]


def read(text: str | None = None) -> tuple[Page, ...]:
    """Every page, `fclocal` itself first."""
    if text is None:
        text = HELP.read_text(encoding="utf-8")
    return tuple(_page(*part.split("\n", 1)) for part in text.split("\f") if part)


def _page(words: str, text: str) -> Page:
    usage, _, rest = text.partition("\n\n")
    blocks = rest.split("\n\n")
    sections: dict[str, tuple[Entry, ...]] = dict.fromkeys(SECTIONS, ())
    paragraphs = []
    for block in blocks:
        head, _, body = block.partition("\n")
        if head.removesuffix(":") in SECTIONS:
            sections[head.removesuffix(":")] = _entries(body)
        elif block.strip():
            paragraphs.append(" ".join(block.split()))
    usage = " ".join(usage.removeprefix("Usage:").split())
    return Page(words, usage, tuple(paragraphs), *(sections[name] for name in SECTIONS))


def _entries(body: str) -> tuple[Entry, ...]:
    found: list[Entry] = []
    for line in body.splitlines():
        if start := _ENTRY.match(line):
            found.append(Entry(start["names"], start["text"] or ""))
        elif line.strip() and found:
            found[-1] = Entry(found[-1].names, f"{found[-1].text} {line.strip()}".strip())
    return tuple(found)
