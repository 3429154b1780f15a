"""Everything that a release must pass, one line a step; 1 when one refuses. `python check.py [STEP ...]` runs some.

Steps that cannot be done here (no app built, an index that does not answer) say so and refuse nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import audit
import changelog
import distributions
import installed
import licences
import sbom
import source
from source import Refused


def clean() -> str:
    """Nothing is uncommitted."""
    if not source.has_git():
        return "no git here: not checked"
    if changed := source.uncommitted():
        raise Refused(f"not committed: {', '.join(name[3:] for name in changed)}")
    return source.git("rev-parse", "--short", "HEAD").strip()


def tests() -> str:
    """Format, lint, types, layers, and the whole suite."""
    return _make("check")


def built() -> str:
    """Both distributions, twice."""
    distributions.DIST.mkdir(exist_ok=True)
    made = distributions.build(distributions.DIST)
    distributions.twine(*(distributions.DIST / name for name in made))
    distributions.rebuild(made)
    return ", ".join(f"{name} {digest[:12]}" for name, digest in made.items())


def used() -> str:
    """The wheel, installed with pipx and used."""
    installed.install(distributions.DIST / distributions.names()[0])
    return ", ".join(installed.use())


def app() -> str:
    """The one-folder app of this version, when it was built."""
    found = sorted(distributions.DIST.glob(f"fclocal-{source.version()}-*.tar.?z"))
    if not found:
        return "not built: make app"
    if getattr(os, "geteuid", lambda: 1)():
        return f"{found[0].name} was built and not tried: make app-check needs root"
    return _make("app-check")


def listed() -> str:
    """The SBOM."""
    return str(sbom.write().relative_to(source.ROOT))


def licensed() -> str:
    """The licences of the runtime dependencies."""
    found = licences.read(installed.interpreter())
    written = licences.write(found)
    licences.refuse(found)
    return f"{len(found)} dependencies in {written.relative_to(source.ROOT)}"


STEPS: Mapping[str, Callable[[], str]] = {
    "clean": clean,
    "changelog": changelog.check_here,
    "tests": tests,
    "dist": built,
    "installed": used,
    "app": app,
    "sbom": listed,
    "licences": licensed,
    "audit": audit.audit,
}


def _make(target: str) -> str:
    done = subprocess.run(["make", target], cwd=source.ROOT, env=os.environ, capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"make {target} failed:\n{done.stdout.decode()[-4000:]}{done.stderr.decode()[-4000:]}")
    return f"make {target}"


def main(wanted: list[str]) -> int:
    """Run every step, or those that are named, to the end; 1 when one refused."""
    unknown = [name for name in wanted if name not in STEPS]
    if unknown:
        print(f"No step {unknown[0]!r}. There are: {', '.join(STEPS)}.", file=sys.stderr)
        return 2
    refused = 0
    for name in wanted or STEPS:
        began = time.perf_counter()
        try:
            verdict, text = "ok", STEPS[name]()
        except Refused as refusal:
            verdict, text, refused = "REFUSED", str(refusal), 1
        print(f"{name:<10}{verdict:<8}{time.perf_counter() - began:>5.0f} s  {text}", flush=True)
    return refused


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
