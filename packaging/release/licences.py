"""The licence of every runtime dependency, listed in dist/; a refusal for those that the MIT release cannot go with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import source
from distributions import DIST
from installed import interpreter
from source import Refused

# Licences under which a part may be passed on, unchanged, with an MIT program and without conditions for the rest.
COMPATIBLE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Python-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    }
)
# What older metadata says instead of an SPDX identifier.
_WORDS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Neither the program itself nor what installs it.
_OTHERS = frozenset({"fclocal", "pip", "setuptools", "wheel"})
_LIST = """
import json
from importlib.metadata import distributions
print(json.dumps([[d.metadata["Name"], d.version, d.metadata.get("License-Expression"), d.metadata.get("License"),
    d.metadata.get_all("Classifier") or []] for d in distributions()]))
"""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One installed package; `licence` is an SPDX expression where the metadata can be understood, else its words."""

    name: str
    version: str
    licence: str

    @property
    def compatible(self) -> bool:
        """Whether it may be passed on: every part of an AND, one part of an OR. What is unknown may not."""
        return _allowed(re.findall(r"[()]|[^\s()]+", self.licence))


def read(python: Path) -> tuple[Dependency, ...]:
    """The runtime dependencies in the environment of `python`, by name."""
    done = subprocess.run([str(python), "-I", "-c", _LIST], capture_output=True, check=True)
    found = (Dependency(name, version, licence(*rest)) for name, version, *rest in json.loads(done.stdout))
    return tuple(sorted((one for one in found if one.name not in _OTHERS), key=lambda one: one.name.lower()))


def licence(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str:
    """The licence that a package's metadata states: its expression, else its short text, else its classifiers."""
    if expression:
        return expression
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: OSI")]
    stated = (text or "").strip()
    if stated and "\n" not in stated and len(stated) < 80:
        named = [stated]
    return " AND ".join(_WORDS.get(word, word) for word in named) or "unknown"


def write(dependencies: Iterable[Dependency]) -> Path:
    """Write the list to dist/."""
    target = DIST / f"fclocal-{source.version()}-licences.txt"
    target.write_text("".join(f"{one.name} {one.version}\t{one.licence}\n" for one in dependencies), "utf-8")
    return target


def refuse(dependencies: Iterable[Dependency]) -> None:
    """Raise Refused naming every dependency whose licence is not known to be compatible."""
    wrong = [f"{one.name} {one.version} ({one.licence})" for one in dependencies if not one.compatible]
    if wrong:
        raise Refused(f"Not known to go with an MIT release: {', '.join(wrong)}.")


def _allowed(words: list[str]) -> bool:
    """Whether an SPDX expression, as its words, allows it. AND binds tighter than OR; WITH only adds rights."""
    value, rest = _either(words)
    return value and not rest


def _either(words: list[str]) -> tuple[bool, list[str]]:
    value, words = _both(words)
    while words[:1] == ["OR"]:
        other, words = _both(words[1:])
        value = value or other
    return value, words


def _both(words: list[str]) -> tuple[bool, list[str]]:
    value, words = _one(words)
    while words[:1] == ["AND"]:
        other, words = _one(words[1:])
        value = value and other
    return value, words


def _one(words: list[str]) -> tuple[bool, list[str]]:
    if words[:1] == ["("]:
        value, words = _either(words[1:])
        return value and words[:1] == [")"], words[1:]
    value, words = words[:1] != [] and words[0] in COMPATIBLE, words[1:]
    return value, words[2:] if words[:1] == ["WITH"] else words


if __name__ == "__main__":
    try:
        found = read(interpreter())
        print(write(found).read_text("utf-8"), end="")
        refuse(found)
    except Refused as refusal:
        sys.exit(str(refusal))
