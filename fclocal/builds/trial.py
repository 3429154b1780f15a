"""Try the installed llama.cpp in a fresh process: does it load, does it see a GPU, does it compute there?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from fclocal.errors import FclocalError

SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. `devices` are "kind: name, description"; `computed` says that a token came out of the built-in
    model with all its layers on the GPU, or on the CPU where there is none; `fault` why something did not work."""

    loads: bool
    offloads: bool = False
    devices: tuple[str, ...] = ()
    computed: bool = False
    version: str = ""
    fault: str = ""

    @property
    def gpu(self) -> str:
        """The first GPU, or empty."""
        return next((device for device in self.devices if device.startswith(("gpu:", "igpu:"))), "")

    @property
    def works(self) -> bool:
        """Whether models run at all."""
        return self.loads and self.computed


def try_installed(python: str = sys.executable, environment: Mapping[str, str] | None = None) -> Trial:
    """Run the trial. Never raises: a process that dies is a fault."""
    try:
        child = subprocess.run(
            [python, "-m", "fclocal.builds.trial"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env=dict(environment) if environment is not None else None,
        )
    except subprocess.TimeoutExpired:
        return Trial(False, fault=f"It did not answer within {SECONDS:g} s.")
    except OSError as error:
        return Trial(False, fault=f"{python} does not start: {error.strerror}.")
    return read(child.stdout, child.stderr, child.returncode)


def read(out: str, err: str, code: int) -> Trial:
    """What the child's lines say; those before a crash count, and the crash is the fault."""
    facts: dict[str, object] = {}
    for line in out.splitlines():
        try:
            facts |= json.loads(line)
        except (ValueError, TypeError):
            continue
    devices = facts.get("devices")
    fault = str(facts.get("fault", ""))
    if code and not fault:
        last = (err.strip().splitlines() or [""])[-1][:300]
        fault = f"The process ended {_how(code)}. {last}".strip()
    return Trial(
        loads="devices" in facts,
        offloads=bool(facts.get("offloads")),
        devices=tuple(map(str, devices)) if isinstance(devices, list) else (),
        computed=bool(facts.get("computed")),
        version=str(facts.get("version", "")),
        fault=fault,
    )


def _how(code: int) -> str:
    if code < 0 and os.name == "posix":
        number = -code
        name = signal.Signals(number).name if number in set(signal.Signals) else ""
        reason = {"SIGILL": ": it was built for another processor", "SIGABRT": ": llama.cpp gave up"}.get(name, "")
        return f"by signal {number}{f' ({name})' if name else ''}{reason}"
    return f"with exit code {code}"


def _child() -> None:
    """In the fresh process: one JSON object a line, as far as it comes."""
    try:
        from fclocal.native import binding  # deferred: this is what is tried
        from fclocal.native.devices import devices
    except FclocalError as error:
        _tell(fault=error.sentence)
        return
    found = devices()
    _tell(
        version=binding.version(),
        offloads=binding.supports_gpu_offload(),
        devices=[f"{device.kind}: {device.name}, {device.description}" for device in found],
    )
    try:
        _compute(gpu_layers=-1 if any(device.kind in ("gpu", "igpu") for device in found) else 0)
    except Exception as error:  # the parent shows it
        _tell(fault=" ".join(str(error).split()) or type(error).__name__)
        return
    _tell(computed=True)


def _compute(*, gpu_layers: int) -> None:
    """Decode the first token of the built-in model."""
    from fclocal import paths  # deferred, as above
    from fclocal.native.binding import Model
    from fclocal.native.context import Batch, Context

    with (
        Model.load(paths.package_file("models/starter/starter.gguf"), gpu_layers=gpu_layers) as model,
        Context(model, size=64, batch=8, micro_batch=8) as context,
    ):
        batch = Batch(8)
        row = batch.add([model.vocabulary.bos], sequence=0, position=0, output=True)
        context.decode(batch)
        if not isfinite(float(context.logits(row).sum())):
            raise ArithmeticError("The model computed no numbers.")


def _tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    _child()
