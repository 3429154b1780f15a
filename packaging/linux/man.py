"""The man page fclocal(1), made of the help pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pages import Entry, Page

CODES = "0 done, 1 unexpected, 2 bad input, 3 model unknown or missing, 4 model broken, 5 text instead of a call, \
6 refused by policy or access, 7 does not fit in memory, 8 network, 9 context too small, 10 call cut off or invalid, \
11 function failed, 12 disk, 13 port in use, 130 interrupted."
VARIABLES = {
    "FCLOCAL_CONFIG": "Folder of the settings, instead of ~/.config/fclocal.",
    "FCLOCAL_DATA": "Folder of sessions and of the list of models, instead of ~/.local/share/fclocal.",
    "FCLOCAL_CACHE": "Folder of what can be made again, instead of ~/.cache/fclocal.",
    "FCLOCAL_API_KEY": "Key that clients of fclocal serve must send.",
    "HF_TOKEN": "Access token for gated models of the Hugging Face Hub.",
    "HF_HOME": "Folder of downloaded models, instead of ~/.cache/huggingface.",
}
FILES = {
    "~/.config/fclocal/config.toml": "Settings.",
    "~/.config/fclocal/models.toml": "Your own models; keys there win over the shipped ones.",
    "~/.config/fclocal/mcp.json": "MCP servers.",
    "~/.config/fclocal/serve.env": "Variables for the systemd user unit, such as FCLOCAL_API_KEY.",
    "~/.cache/huggingface/hub": "Downloaded models, shared with other programs.",
}


def render(pages: tuple[Page, ...], *, version: str, date: str) -> str:
    """The page as roff. `date` is YYYY-MM-DD."""
    top = pages[0]
    lines = [
        f'.TH FCLOCAL 1 "{date}" "fclocal {version}" "User Commands"',
        ".SH NAME",
        f"fclocal \\- {_text(top.summary[0].lower() + top.summary[1:])}",
        ".SH SYNOPSIS",
        f".B fclocal\n{_text(top.usage.removeprefix('fclocal').strip())}",
        ".SH DESCRIPTION",
        *_paragraphs(top.paragraphs),
        ".SH OPTIONS",
        *_tagged(top.options),
        ".SH COMMANDS",
    ]
    for page in pages[1:]:
        lines += [f".SS {_text(page.usage)}", *_paragraphs(page.paragraphs)]
        lines += [*_tagged(page.arguments), *_tagged(_own(page, top))]
    lines += [".SH EXIT STATUS", _text(CODES)]
    lines += [".SH ENVIRONMENT", *_tagged(Entry(*item) for item in VARIABLES.items())]
    lines += [".SH FILES", *_tagged(Entry(*item) for item in FILES.items())]
    lines += [".SH SEE ALSO", _text("https://github.com/fclocal/fclocal")]
    return "\n".join(lines) + "\n"


def _own(page: Page, top: Page) -> Iterator[Entry]:
    """The options of a command that are not described at the top already; the others are named in one entry."""
    known = {(entry.flags, entry.text) for entry in top.options}
    shared = [entry.flags[-1] for entry in page.options if (entry.flags, entry.text) in known]
    yield from (entry for entry in page.options if (entry.flags, entry.text) not in known)
    if len(shared) > 1:
        yield Entry(", ".join(shared), "As under OPTIONS.")


def _paragraphs(texts: tuple[str, ...]) -> Iterator[str]:
    for text in texts:
        yield from (".PP", _text(text))


def _tagged(entries: Iterator[Entry] | tuple[Entry, ...]) -> Iterator[str]:
    for entry in entries:
        yield from (".TP", f".B {_text(entry.names)}", _text(entry.text))


def _text(text: str) -> str:
    """Text without roff's own meaning: hyphens stay hyphens, a line begins with no command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)
