"""The work of `fclocal doctor --fix`: the build of llama.cpp that fits, the command for it, and whether it works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

from fclocal.builds.choose import Build, Candidates, candidates, choose
from fclocal.builds.environment import (
    Command,
    Environment,
    fitting_version,
    install,
    install_file,
    refuse_unchangeable,
    reinstall,
    this_environment,
)
from fclocal.builds.host import Backend, Gpu, Host, Tool
from fclocal.builds.keep import keep_installed, kept_wheel
from fclocal.builds.look import look
from fclocal.builds.trial import Trial, try_installed
from fclocal.builds.wheels import WheelIndex
from fclocal.cli.rim import say
from fclocal.cli.tables import emit
from fclocal.errors import ExitCode, FclocalError, UsageError

BACKENDS: Final[tuple[Backend, ...]] = ("cuda", "rocm", "vulkan", "metal", "cpu")
_NAMES: Final = {"cuda": "CUDA", "rocm": "ROCm", "vulkan": "Vulkan", "metal": "Metal", "cpu": "the CPU"}
_VENDORS: Final = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "apple": "Apple"}


def run_command(command: Command) -> int:
    """Run a command; everything that it prints goes to stderr. Gives its exit code."""
    variables = {**os.environ, **dict(command.variables)}
    try:
        return subprocess.run(command.words, env=variables, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode
    except OSError as error:
        raise UsageError(f"{command.words[0]} does not start: {error.strerror}.") from None


@dataclass(frozen=True, slots=True)
class Rim:
    """Everything outside that a fix touches."""

    host: Callable[[], Host] = look
    environment: Callable[[], Environment] = this_environment
    index: Callable[[], WheelIndex] = lambda: WheelIndex(fitting_version())
    trial: Callable[[], Trial] = try_installed
    run: Callable[[Command], int] = run_command


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be done or was done. `command` and `back` are shell text; `after` is None when nothing ran."""

    action: str
    backend: str
    reason: str
    command: str
    from_source: bool
    missing: tuple[str, ...]
    obstacles: tuple[str, ...]
    back: str
    before: Trial
    after: Trial | None = None
    ok: bool = True


def fix(*, yes: bool, wanted: Backend | None, as_json: bool, rim: Rim | None = None) -> int:
    """Say which build fits and the command for it; with `yes`, run it and try the build. 1 when something is wrong."""
    use = rim or Rim()
    environment = use.environment()
    refuse_unchangeable(environment)
    say("Looking at this machine and trying the present build.")
    host, before = use.host(), use.trial()
    for gpu in host.gpus:
        say(f"GPU: {_gpu(gpu)}")
    say(f"Present build: {_works(before)}")
    found = candidates(host, wanted)
    obstacles = () if before.gpu else tuple(f"{each.sentence} {each.cure}" for each in found.obstacles)
    nothing = _nothing_to_do(found, before, wanted)
    if nothing:
        plan = Outcome("none", wanted or "", nothing, "", False, (), obstacles, "", before, ok=not obstacles)
        return _show(plan, as_json=as_json)
    index = use.index()
    build = choose(found, index.has)
    if build is None:
        plan = Outcome("none", wanted or "", "No build runs here.", "", False, (), obstacles, "", before, ok=False)
        return _show(plan, as_json=as_json)
    command = install(build, environment, index)
    plan = Outcome(
        action="install",
        backend=build.backend,
        reason=_reason(build, index),
        command=command.text,
        from_source=not build.tag,
        missing=tuple(_tool(tool, host) for tool in build.missing),
        obstacles=obstacles,
        back=reinstall(environment, index.version).text,
        before=before,
        ok=not build.missing and not (obstacles and build.backend == "cpu"),
    )
    if environment.kind in ("pipx", "uv tool"):
        say(f"This is an environment of {environment.kind}: after an upgrade of fclocal there, run --fix again.")
    if yes and not build.missing:
        plan = _install(plan, command, environment, use)
    return _show(plan, as_json=as_json)


def go_back(*, yes: bool, as_json: bool, rim: Rim | None = None) -> int:
    """Say the command that puts the kept build back; with `yes`, run it. Raises UsageError when none is kept."""
    use = rim or Rim()
    environment = use.environment()
    refuse_unchangeable(environment)
    wheel = kept_wheel()
    if wheel is None:
        raise UsageError("No earlier build is kept.", "fclocal doctor --fix --yes keeps the one that it replaces.")
    command = install_file(wheel, environment)
    before = use.trial()
    say(f"Present build: {_works(before)}")
    plan = Outcome("back", "", f"{wheel.name} was kept.", command.text, False, (), (), "", before)
    if yes:
        say(f"Running: {command.text}")
        code, after = use.run(command), use.trial()
        plan = replace(plan, after=after, ok=code == 0 and after.works)
    return _show(plan, as_json=as_json)


def read_backend(word: str | None) -> Backend | None:
    """The backend called so. Raises UsageError."""
    for backend in BACKENDS:
        if word == backend:
            return backend
    if word is None:
        return None
    raise UsageError(f"--backend {word!r} is not known.", f"Use one of: {', '.join(BACKENDS)}.")


def _install(plan: Outcome, command: Command, environment: Environment, use: Rim) -> Outcome:
    """Keep the present build, run the command, try what came of it."""
    back = plan.back
    try:
        kept = keep_installed() if plan.before.works else kept_wheel()
        back = install_file(kept, environment).text if kept else back
    except FclocalError as error:
        say(f"{error.sentence} Going back means installing it again.")
    say(f"Running: {command.text}")
    code, after = use.run(command), use.trial()
    on_gpu = plan.backend == "cpu" or (after.offloads and bool(after.gpu))
    reason = plan.reason if code == 0 else f"The command ended with exit code {code}."
    return replace(plan, back=back, after=after, reason=reason, ok=code == 0 and after.works and on_gpu)


def _nothing_to_do(found: Candidates, before: Trial, wanted: Backend | None) -> str:
    """Why the present build can stay, or empty."""
    if not before.works:
        return ""
    if wanted is None and before.gpu:
        return "The present build uses the GPU: nothing needs to be installed."
    if (wanted is None and not found.wants_gpu) or (wanted == "cpu" and not before.gpu):
        return "The present build fits: nothing needs to be installed."
    return ""


def _reason(build: Build, index: WheelIndex) -> str:
    name = _NAMES[build.backend]
    if build.tag:
        return f"A ready wheel of llama-cpp-python {index.version} for {name} ({build.tag}) fits this machine."
    why = f"the index of ready wheels does not answer ({index.fault})" if index.fault else "no ready wheel fits"
    return f"llama-cpp-python {index.version} for {name} is built from source, since {why}. That takes minutes."


def _show(plan: Outcome, *, as_json: bool) -> int:
    if as_json:
        emit(asdict(plan))
    else:
        _tell(plan)
    return ExitCode.DONE if plan.ok else ExitCode.UNEXPECTED


def _tell(plan: Outcome) -> None:
    for obstacle in plan.obstacles:
        say(obstacle)
    say(plan.reason)
    if plan.missing:
        say(f"Install first: {'; '.join(plan.missing)}.")
    if plan.after is not None:
        print(f"The new build {'works' if plan.ok else 'does not do what it should'}: {_works(plan.after)}")
        if plan.back:
            say(f"To go back: fclocal doctor --back --yes, or: {plan.back}")
        return
    if plan.command:
        print(plan.command)
        say("To run it and try the result, write the same again with --yes.")
    if plan.back:
        say(f"To go back afterwards: {plan.back}")


def _works(trial: Trial) -> str:
    if not trial.loads:
        return trial.fault or "llama.cpp does not load."
    where = trial.gpu.partition(": ")[2] or "the CPU only"
    if not trial.computed:
        return f"llama.cpp {trial.version} loads, but does not compute. {trial.fault}"
    return f"llama.cpp {trial.version} loads and computes; it uses {where}."


def _gpu(gpu: Gpu) -> str:
    return f"{gpu.name or f'{_VENDORS[gpu.vendor]} GPU'}{f', {gpu.arch}' if gpu.arch else ''}"


def _tool(tool: Tool, host: Host) -> str:
    """What to install for a build from source."""
    match tool:
        case "c++":
            if host.system == "darwin":
                return "a C++ compiler (xcode-select --install)"
            if host.system == "windows":
                return "a C++ compiler (Visual Studio's Build Tools)"
            return "a C++ compiler (Debian, Ubuntu: apt install build-essential)"
        case "nvcc":
            newest = f" {host.cuda[0]}.{host.cuda[1]} or older" if host.cuda else ""
            return f"NVIDIA's CUDA toolkit{newest}, which has nvcc"
        case "hipcc":
            return "AMD's ROCm with its compiler, hipcc"
        case "glslc":
            return "glslc and the Vulkan headers (Debian, Ubuntu: apt install glslc libvulkan-dev; else the Vulkan SDK)"
