"""Which MCP servers and tools the user has approved, by what they are and not by what they are called."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fclocal import paths
from fclocal.errors import DiskError, NewerFile
from fclocal.escapes import visible
from fclocal.functions import Function, Json
from fclocal.tools.mcp.config import Command, Endpoint, ServerConfig, shown_url

LOCK_SECONDS = 5.0
# Raised with any change of the file: one of a later format approves nothing and is not written.
FORMAT = 1

# The values of these decide which code runs, so that they are judged like arguments. Others may be secrets.
_STEERING = (
    "PATH",
    "LD_",
    "DYLD_",
    "PYTHON",
    "NODE_",
    "NPM_CONFIG_",
    "UV_",
    "PIP_",
    "BASH_ENV",
    "ENV",
    "JAVA_",
    "PERL5",
    "RUBY",
)


@dataclass(frozen=True, slots=True)
class Approval:
    """What the user said yes to: tool name -> fingerprint, or None for whatever the server lists first."""

    tools: Mapping[str, str] | None


class Approvals:
    """Approvals on disk (0600), or only in memory without a file. `problem` says why the file was not believed."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._memory: dict[str, Approval] = {}
        self._kept: dict[str, Approval] = {}
        self.problem = ""
        if file is not None:
            try:
                self._kept, self.problem = _read(file)
            except NewerFile as error:
                self.problem = f"{error} No MCP server counts as approved."

    def get(self, launch: str) -> Approval | None:
        """What was approved for the launch with this fingerprint."""
        return self._memory.get(launch) or self._kept.get(launch)

    def put(self, launch: str, approval: Approval, *, remember: bool) -> None:
        """Approve. With `remember` also for later processes; raises DiskError when that cannot be written."""
        if not remember or self._file is None:
            self._memory[launch] = approval
            return
        paths.private_folder(self._file.parent)
        try:
            with FileLock(f"{self._file}.lock", timeout=LOCK_SECONDS, mode=0o600):
                self._kept, _ = _read(self._file)
                self._kept[launch] = approval
                _write(self._file, self._kept)
        except (OSError, Timeout) as error:
            raise DiskError(f"Cannot write {self._file}: {error}.", "Check its owner and free space.") from None
        self._memory.pop(launch, None)
        self.problem = ""

    def remembers(self, launch: str) -> bool:
        """Whether the approval outlives this process."""
        return launch in self._kept and launch not in self._memory


def user_approvals() -> Approvals:
    """What the user has approved on this machine."""
    return Approvals(paths.data_folder() / "mcp-approved.json")


def launch_fingerprint(server: ServerConfig) -> str:
    """SHA-256 of what would be started or asked, under which name. Secret values are left out, their names are in."""
    match server.launch:
        case Command() as launch:
            steering = {key: value for key, value in launch.env.items() if key.upper().startswith(_STEERING)}
            judged: Json = [launch.command, list(launch.args), sorted(launch.env), steering, str(launch.cwd)]
        case Endpoint() as launch:
            judged = [launch.url, sorted(launch.headers)]
    return _sha256([server.name, judged])


def tool_fingerprint(name: str, function: Function) -> str:
    """SHA-256 of everything the model and the user see of a tool: its name on its server, description and schema."""
    return _sha256([name, function.description, function.parameters])


def fingerprint(server: ServerConfig, tools: Mapping[str, str]) -> str:
    """SHA-256 of a server with the fingerprints of its tools."""
    return _sha256([launch_fingerprint(server), sorted(tools.items())])


def launch_lines(config: ServerConfig) -> tuple[str, ...]:
    """What is started or asked, for the person who decides: all arguments, the names of variables and headers."""
    match config.launch:
        case Command() as launch:
            lines = [f"starts {shlex.join((launch.command, *launch.args))}", f"in {launch.cwd}"]
            if launch.env:
                lines.append(f"gives it {', '.join(launch.env)}")
        case Endpoint() as launch:
            lines = [f"asks {shown_url(launch.url)}"]
            if launch.headers:
                lines.append(f"sends it {', '.join(launch.headers)}")
    return tuple(visible(line).replace("\n", "\\n") for line in lines)


def _sha256(value: Json) -> str:
    text = json.dumps(value, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> tuple[dict[str, Approval], str]:
    """The approvals, and why there are none although there is a file. Raises NewerFile."""
    try:
        if os.name == "posix":
            state = file.stat()
            if state.st_uid != os.geteuid() or state.st_mode & 0o022:
                return {}, f"{file} can be changed by others: no MCP server counts as approved."
        value = json.loads(file.read_text("utf-8"))
        if value.get("format", FORMAT) != FORMAT:
            instead = "move it away and approve the servers again."
            raise NewerFile(f"The approvals file {file}", found=value["format"], known=FORMAT, instead=instead)
        return {launch: _approval(entry) for launch, entry in value["servers"].items()}, ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return {}, f"{file} cannot be read: no MCP server counts as approved."


def _approval(entry: Mapping[str, Mapping[str, str] | None]) -> Approval:
    tools = entry["tools"]
    if tools is None:
        return Approval(None)
    return Approval({str(name): str(digest) for name, digest in tools.items()})


def _write(file: Path, approvals: Mapping[str, Approval]) -> None:
    servers = {launch: {"tools": None if a.tools is None else dict(a.tools)} for launch, a in approvals.items()}
    draft = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as target:
        json.dump({"format": FORMAT, "servers": servers}, target, indent=1, sort_keys=True)
        target.flush()
        os.fsync(target.fileno())
    draft.replace(file)
