"""A CycloneDX list of what the installed wheel brings along, as JSON in dist/."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import source
from distributions import DIST
from installed import interpreter
from source import Refused

# The installer is in the environment, and not of the program.
_INSTALLER = "pip"


def write() -> Path:
    """Write the list and return its path. The same environment gives the same bytes. Raises Refused."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
    command += ["--sv", "1.6", "--mc-type", "application", "--pyproject", str(source.ROOT / "pyproject.toml")]
    done = subprocess.run([*command, str(interpreter())], capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"cyclonedx-py failed:\n{done.stderr.decode()}")
    target = DIST / f"fclocal-{source.version()}.cdx.json"
    target.write_text(json.dumps(completed(json.loads(done.stdout), source.version()), indent=1) + "\n", "utf-8")
    return target


def completed(bom: dict[str, object], version: str) -> dict[str, object]:
    """`bom` with the version that pyproject.toml leaves to the package, and without the installer."""
    metadata, components, graph = bom["metadata"], bom["components"], bom["dependencies"]
    assert isinstance(metadata, dict) and isinstance(components, list) and isinstance(graph, list)
    metadata["component"] |= {"version": version, "purl": f"pkg:pypi/fclocal@{version}"}
    gone = {entry["bom-ref"] for entry in components if entry["name"] == _INSTALLER}
    return bom | {
        "components": [entry for entry in components if entry["bom-ref"] not in gone],
        "dependencies": [entry for entry in graph if entry["ref"] not in gone],
    }


if __name__ == "__main__":
    try:
        print(write())
    except Refused as refusal:
        sys.exit(str(refusal))
