"""Render one chat template in a process of its own. Run as a script; imports nothing of fclocal.

Reads {"template", "variables", "limits", "mark"} as JSON on stdin, writes a line as soon as it is ready to render, then
{"text"} or {"error", "kind"} on stdout. `mark` is put around the JSON of each tool, so that it can be told apart.
"""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Refusal(Exception):
    """What the template says about a conversation it cannot render."""


class TooLong(Exception):
    """The rendered text passed its limit."""


class Generation(Extension):
    """`{% generation %}...{% endgeneration %}` marks replies for training; here it is its own content."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 declares it as an instance variable

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def limit_resources(memory: int, seconds: int) -> None:
    """Let the system hold the limits too, where it can."""
    try:
        import resource
    except ImportError:
        return
    wanted = {"RLIMIT_AS": memory, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, value in wanted.items():
        with contextlib.suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))


def render(job: dict[str, Any]) -> str:
    """The rendered text. Raises what jinja2 raises, and TooLong."""
    variables, mark = job["variables"], job["mark"]
    tools = variables.get("tools") or []
    known = {id(part) for tool in tools for part in (tool, tool["function"], tool["function"]["parameters"])}

    def to_json(value: object, indent: int | None = None, **options: Any) -> str:
        text = json.dumps(value, ensure_ascii=options.pop("ensure_ascii", False), indent=indent, **options)
        return f"{mark}b{text}{mark}e" if id(value) in known else text

    def refuse(message: str) -> NoReturn:
        raise Refusal(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: datetime.now().strftime(form)}
    pieces: list[str] = []
    size = 0
    for piece in environment.from_string(job["template"]).generate(**variables):
        pieces.append(piece)
        size += len(piece)
        if size > job["limits"]["characters"]:
            raise TooLong
    return "".join(pieces)


def answer(job: dict[str, Any]) -> dict[str, str]:
    """What to tell the parent."""
    try:
        return {"text": render(job)}
    except Refusal as refusal:
        return {"kind": "refused", "error": str(refusal)[:500]}
    except SecurityError as error:
        return {"kind": "unsafe", "error": str(error)[:500]}
    except (MemoryError, RecursionError, OverflowError, TooLong):
        return {"kind": "limit", "error": "it needs too much memory"}
    except TemplateError as error:
        return {"kind": "broken", "error": (error.message or "")[:500]}
    except Exception as error:
        return {"kind": "broken", "error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    limit_resources(job["limits"]["memory"], job["limits"]["seconds"])
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    out.write(json.dumps(answer(job)).encode())
    out.flush()


if __name__ == "__main__":
    main()
