"""`fclocal bench`: the speed of a model on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from fclocal.cli import options as opt


def bench(
    model: opt.Model = None,
    context: opt.Context = None,
    gpu_layers: opt.GpuLayers = "auto",
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=50, help="Measurements of each thing.")] = 5,
    as_json: opt.AsJson = False,
) -> None:
    """Measure speed on this machine, as ratios to the bare llama.cpp loop and to the memory's speed."""
    from fclocal.cli.benching import measure_model  # deferred: loads the engine
    from fclocal.cli.rim import run
    from fclocal.runtime import Options

    options = Options(model=model, context=context, gpu_layers=opt.gpu_layers(gpu_layers))
    run(measure_model(options, rounds=rounds, as_json=as_json))
