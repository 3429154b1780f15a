"""The work of `fclocal bench`."""

from __future__ import annotations

from dataclasses import asdict

from fclocal.cli.rim import json_line, say
from fclocal.engine.bench import Speed, measure
from fclocal.errors import ExitCode
from fclocal.runtime import Options, choose, open_model, settings


async def measure_model(options: Options, *, rounds: int, as_json: bool) -> int:
    """Load the model, measure it and print what was found."""
    chosen = choose(options, settings())
    for notice in chosen.notices:
        say(notice)
    say(f"Measuring {chosen.source.name}; keep the machine quiet.")
    async with open_model(chosen, options) as model:
        speed = await measure(model.engine, rounds=rounds)
    if as_json:
        print(json_line({"model": chosen.source.name, "quant": chosen.source.quant, **asdict(speed)}))
    else:
        print("\n".join(_lines(speed)))
    return ExitCode.DONE


def _lines(speed: Speed) -> tuple[str, ...]:
    return (
        f"prompt          {speed.prompt_rate:.0f} tokens/s",
        f"reply           {speed.decode_rate:.1f} tokens/s",
        f"bare loop       {speed.bare_rate:.1f} tokens/s of llama_decode alone; ours is {speed.decode:.2f} of it",
        f"memory          {speed.roofline:.2f} of what reading all weights once a token allows",
        f"forced tokens   a call {speed.forced:.2f} times as fast as with masks alone "
        f"({speed.forced_seconds:.3f} s against {speed.masked_seconds:.3f} s)",
    )
