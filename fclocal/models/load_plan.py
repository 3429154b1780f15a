"""Before a model is loaded: does it fit now, and how many layers go to the GPU?"""

from __future__ import annotations

from fclocal.errors import OutOfMemory
from fclocal.models.fit import Fit, Gpu, Machine, plan, sizes_of
from fclocal.models.machine import this_machine
from fclocal.models.names import ModelSource
from fclocal.native.devices import devices


def here() -> Machine:
    """This machine's free memory and the GPUs that llama.cpp can use. Loads llama.cpp's library."""
    gpus = [Gpu(one.description or one.name, one.free, one.total) for one in devices() if one.kind in ("gpu", "igpu")]
    return this_machine(gpus)


def plan_load(
    source: ModelSource, machine: Machine, *, context: int | None, gpu_layers: int | None, kv_type: str = "f16"
) -> Fit:
    """Plan the memory of `source`: `context` None is the trained length up to 8,192, `gpu_layers` None as many as fit.

    Raises OutOfMemory, with the sizes and what would fit, before llama.cpp is asked for anything.
    """
    sizes = sizes_of(source.header, source.facts)
    fit = plan(sizes, machine, context=context, kv_type=kv_type, gpu_layers=gpu_layers)
    if fit.fits:
        return fit
    cure = "Try a smaller quantization or a smaller model: fclocal catalog"
    if fit.largest_context:
        cure = f"Try: --context {fit.largest_context}"
    elif gpu_layers is not None and plan(sizes, machine, context=context, kv_type=kv_type).fits:
        cure = "Try: --gpu-layers auto"
    raise OutOfMemory(f"{source.name}: {fit.sentence}", cure)


def slow_notice(fit: Fit, machine: Machine) -> str | None:
    """A sentence when a GPU is there and does not hold the whole model, else None."""
    if not machine.gpus or fit.gpu_layers == -1:
        return None
    room = f"{fit.gpu_layers} of {fit.layers} layers" if fit.gpu_layers else "No layer"
    return f"{room} fit on the GPU at {fit.context:,} tokens; the rest runs on the CPU, which is slower."
