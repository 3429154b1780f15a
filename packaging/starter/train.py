"""Train the starter on shards that feed.py writes. The schedule follows wall-clock time; resumes from runs/last.pt."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from export import read
from recipe.learning import Learner, rate, tensors
from recipe.model import Shape

RUNS = Path(__file__).resolve().parent / "runs"
MEANINGS = 0.8
ROWS = {384: 16, 640: 10, 896: 7}


def lengths_at(fraction: float) -> list[int]:
    """Short rows first; later more long ones, because choosing in a block of many functions is what comes last."""
    return [384] if fraction < 0.06 else [640] * 7 + [896] * 3 if fraction < 0.5 else [640, 896]


def next_shard(rng: Random, fraction: float) -> Path:
    """The oldest ready shard of the wanted length, else of any; waits while there is none."""
    while True:
        wanted = rng.choice(lengths_at(fraction))
        for pattern in (f"{wanted}-*.npz", "640-*.npz", "896-*.npz", "384-*.npz"):
            ready = sorted((RUNS / "shards").glob(pattern), key=lambda path: path.name.split("-")[1])
            if ready:
                return ready[0]
        time.sleep(0.5)


def deadline(default: float) -> float:
    """The end of the run as seconds of the clock; runs/deadline can move it while the run goes on."""
    try:
        return float((RUNS / "deadline").read_text())
    except (OSError, ValueError):
        return default


def add_meanings(embedding: torch.Tensor, meanings: torch.Tensor) -> None:
    """Add what meanings.py found, in directions drawn by lot, at MEANINGS of the embeddings' own length."""
    width = embedding.shape[1]
    directions = torch.linalg.qr(torch.randn(width, width))[0][:, : meanings.shape[1]].to(embedding.device)
    with torch.no_grad():
        scale = MEANINGS * embedding.norm(dim=1).mean() / meanings.norm(dim=1).mean()
        embedding += scale * meanings.to(embedding.device) @ directions.T


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=110)
    parser.add_argument("--hold", type=float, default=0.5, help="part of the time at full learning rate")
    parser.add_argument("--peak", type=float, default=1.0, help="times the usual learning rate; less to go on")
    parser.add_argument("--save", type=float, default=4, help="minutes between checkpoints")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="a starter.gguf whose weights to begin with, without a checkpoint")
    parser.add_argument("--meanings", type=Path, help="runs/meanings.pt, for the embeddings of a fresh run")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    rng = Random(1)
    device = torch.device(options.device)
    RUNS.mkdir(exist_ok=True)
    learner = Learner(Shape(), device, compiled=options.compile)
    step, tokens, spent = 0, 0, 0.0
    last = RUNS / "last.pt"
    if last.exists():
        saved = torch.load(last, map_location=device, weights_only=True)
        learner.load(saved)
        step, tokens, spent = saved["step"], saved["tokens"], saved["spent"]
    elif options.start:
        learner.model.load_state_dict(read(options.start, learner.model.shape))
    if options.meanings and not last.exists():
        add_meanings(learner.model.embedding.weight, torch.load(options.meanings, weights_only=True))
    begun = time.time()
    end = begun + options.minutes * 60 - spent
    saved_at = begun
    running = 0.0
    log = (RUNS / "log.jsonl").open("a")

    def save() -> None:
        progress = {"step": step, "tokens": tokens, "spent": spent + time.time() - begun}
        torch.save({**learner.state(), **progress}, RUNS / "part.pt")
        (RUNS / "part.pt").replace(last)

    while True:
        now = time.time()
        elapsed = spent + now - begun
        whole = elapsed + max(0.0, deadline(end) - now)
        fraction = elapsed / whole if whole > 0 else 1.0
        if fraction >= 1.0:
            break
        shard = next_shard(rng, fraction)
        data = tensors(np.load(shard))
        shard.unlink()
        length = data["tokens"].shape[1]
        order = torch.randperm(len(data["tokens"]))
        for chosen in order.split(ROWS[length]):
            started = time.time()
            batch = {name: table[chosen].to(device) for name, table in data.items()}
            factor = options.peak * rate(fraction, step, options.hold)
            outcome = learner.step(batch, factor, step)
            step += 1
            tokens += int((batch["trees"] >= 0).sum())
            running = outcome.loss if step == 1 or not running else 0.97 * running + 0.03 * outcome.loss
            if step % 10 == 0:
                entry = {
                    "step": step,
                    "tokens": tokens,
                    "minutes": round((spent + time.time() - begun) / 60, 2),
                    "loss": round(running, 4),
                    "right": round(outcome.right, 4),
                    "guided": round(outcome.guided, 4),
                    "rate": round(factor, 3),
                    "length": length,
                    "speed": round(batch["tokens"].numel() / (time.time() - started)),
                }
                log.write(json.dumps(entry) + "\n")
                log.flush()
        if time.time() - saved_at > options.save * 60:
            save()
            saved_at = time.time()
    save()
    print(f"done: {step} steps, {tokens} tokens")


if __name__ == "__main__":
    main()
