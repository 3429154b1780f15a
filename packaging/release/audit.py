"""Ask the index whether a runtime dependency has a known vulnerability, and say so when it does not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from installed import interpreter
from source import Refused

_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def audit() -> str:
    """A sentence on what was found. Raises Refused when there is a known vulnerability."""
    site = subprocess.run([str(interpreter()), "-I", "-c", _SITE], capture_output=True, check=True).stdout.decode()
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run([*command, "--path", str(Path(site.strip()))], capture_output=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return f"Could not audit: {(done.stderr.decode().strip().splitlines() or ['no answer'])[-1]}"
    return judge([entry for entry in found if entry["name"] != "fclocal"])


def judge(dependencies: Sequence[dict[str, object]]) -> str:
    """The sentence on pip-audit's list. Raises Refused."""
    known = [
        f"{entry['name']} {entry['version']} ({', '.join(str(fault['id']) for fault in faults)})"
        for entry in dependencies
        if isinstance(faults := entry.get("vulns"), list) and faults
    ]
    if known:
        raise Refused(f"Known vulnerabilities: {'; '.join(known)}.")
    skipped = [str(entry["name"]) for entry in dependencies if "skip_reason" in entry]
    if len(skipped) == len(dependencies):
        return "Could not audit: the index answered for none of the dependencies."
    asked = f"No known vulnerability in {len(dependencies) - len(skipped)} of {len(dependencies)} dependencies"
    return f"{asked}; the index did not answer for {', '.join(skipped)}." if skipped else f"{asked}."


if __name__ == "__main__":
    try:
        print(audit())
    except Refused as refusal:
        sys.exit(str(refusal))
