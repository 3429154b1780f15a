"""Print the speed ratios of one run: `make bench`. With a GGUF path as argument, of that model."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from statistics import median

from benchmarks.shape_model import shape_model
from fclocal.engine.bench import ENUM_SCHEMA, PROMPT_TOKENS, measure
from fclocal.engine.engine import Engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, help="GGUF file (default: random weights in 1.3B shape)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="(default: all physical cores; 1 on a busy machine)")
    parser.add_argument("--peers", action="store_true", help="also time llama-cpp-python with its own grammar")
    options = parser.parse_args()
    path = options.model or shape_model()
    asyncio.run(_ours(path, options.rounds, options.threads))
    if options.peers:
        _llama_cpp_python(path, options.rounds, options.threads)


async def _ours(path: Path, rounds: int, threads: int | None) -> None:
    async with await Engine.open(path, context=2048, threads=threads) as engine:
        speed = await measure(engine, rounds=rounds)
        print(f"{path.name}: {engine.description}, {engine.weight_bytes / 2**20:,.0f} MiB")
    print(f"prefill                              {speed.prompt_rate:8.1f} tokens/s")
    print(f"bare llama_decode loop               {speed.bare_rate:8.1f} tokens/s")
    print(f"fclocal's loop                       {speed.decode_rate:8.1f} tokens/s")
    print(f"  of the bare loop                   {speed.decode:8.3f}   (wanted: at least 0.95)")
    print(f"  of the memory roofline             {speed.roofline:8.3f}")
    print(f"call with 3 choices, masks only      {speed.masked_seconds:8.3f} s")
    print(f"call with 3 choices, forced tokens   {speed.forced_seconds:8.3f} s")
    print(f"  times as fast                      {speed.forced:8.2f}   (wanted: at least 1.7)")


def _llama_cpp_python(path: Path, rounds: int, threads: int | None) -> None:
    import llama_cpp

    model = llama_cpp.Llama(str(path), n_ctx=2048, n_gpu_layers=-1, verbose=False, flash_attn=True, n_threads=threads)
    text = "The weather in Paris is fine today, and tomorrow it may rain in London. " * 64
    prompt = model.tokenize(text.encode())[:PROMPT_TOKENS]
    call = {"function": {"const": "get_weather_forecast"}, "arguments": ENUM_SCHEMA}
    schema = {"type": "object", "properties": call, "required": list(call), "additionalProperties": False}
    seconds = []
    for _ in range(rounds + 1):
        grammar = llama_cpp.LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
        begin = time.perf_counter()
        model.create_completion(prompt, grammar=grammar, temperature=0.0, max_tokens=256)
        seconds.append(time.perf_counter() - begin)
    print(f"the same call, llama-cpp-python      {median(seconds[1:]):8.3f} s")
    model.close()


if __name__ == "__main__":
    main()
