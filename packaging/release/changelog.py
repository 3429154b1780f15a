"""The rule of CHANGELOG.md: its first entry is the version of the package, with the day of its release.

An entry begins with `## 1.2.3 - 2027-01-31`. For a development version (1.3.0.dev0) the first one is `## Unreleased`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

import source
from source import Refused

_RELEASE = re.compile(r"(\d+\.\d+\.\d+\S*) - (\d{4}-\d\d-\d\d)")


def check(text: str, version: str, *, today: date, tags: Iterable[str] = ()) -> None:
    """Raise Refused unless `text` is right for `version`; `tags` are those of the commit."""
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if "dev" in version:
        if tags := [tag for tag in tags if tag.startswith("v")]:
            raise Refused(f"The tag {tags[0]} is on the development version {version}.")
        if headings[:1] != ["Unreleased"]:
            raise Refused(f'CHANGELOG.md: version {version} is in development: begin with "## Unreleased".')
        headings = headings[1:]
    entries = [_entry(heading) for heading in headings]
    if "dev" not in version and (not entries or entries[0][0] != version):
        raise Refused(f'CHANGELOG.md: begin with "## {version} - {today}", the version of fclocal/__init__.py.')
    days = [day for _, day in entries]
    if days != sorted(days, reverse=True) or (days and days[0] > today):
        raise Refused("CHANGELOG.md: the days of its entries do not go back from today.")
    if others := [tag for tag in tags if tag.startswith("v") and tag != f"v{version}"]:
        raise Refused(f"The tag {others[0]} is on version {version}.")


def _entry(heading: str) -> tuple[str, date]:
    found = _RELEASE.fullmatch(heading)
    try:
        assert found
        return found[1], date.fromisoformat(found[2])
    except (AssertionError, ValueError):
        raise Refused(f'CHANGELOG.md: "## {heading}" is no "## VERSION - YEAR-MONTH-DAY".') from None


def check_here() -> str:
    """Check this checkout. Raises Refused."""
    tags = source.git("tag", "--points-at", "HEAD").split() if source.has_git() else ()
    version = source.version()
    text = (source.ROOT / "CHANGELOG.md").read_text("utf-8")
    check(text, version, today=datetime.now(UTC).date(), tags=tags)
    return f"version {version}"
