"""Kill a writing process at a random moment, many times, and look for lost messages: `python -m tests.chat.kill_loop`.

Options: number of kills (200), seed (0).
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from fclocal.chat.store import Sessions
from fclocal.messages import FunctionResult, UserMessage

WRITER = Path(__file__).with_name("session_writer.py")


@dataclass
class Tally:
    """What a run of kills came to; `acknowledged` counts lines that the writers got out."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    unknown: int = 0
    twice: int = 0
    integrity: str = ""


def kill_many(path: Path, kills: int, *, seed: int = 0) -> Tally:
    """Let a writer write to `path` and kill it after 5 to 60 acknowledged lines, `kills` times; then look."""
    chance = random.Random(seed)
    tally = Tally()
    lines: list[str] = []
    for _ in range(kills):
        lines += _kill_one(path, chance)
        tally.kills += 1
    tally.acknowledged = len(lines)
    with Sessions(path) as stored:
        tally.integrity = stored.check()
        _compare(stored, lines, tally)
    return tally


def _kill_one(path: Path, chance: random.Random) -> list[str]:
    writer = subprocess.Popen([sys.executable, str(WRITER), str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    lines = [writer.stdout.readline().rstrip("\n") for _ in range(chance.randint(5, 60))]
    killer = threading.Timer(chance.random() * 0.01, writer.kill)
    killer.start()
    lines += [line.rstrip("\n") for line in writer.stdout if line.endswith("\n")]
    killer.join()
    writer.wait()
    writer.stdout.close()
    return [line for line in lines if line]


def _compare(stored: Sessions, lines: list[str], tally: Tally) -> None:
    ran = [line for line in lines if line.startswith("ran ")]
    tally.twice = len(ran) - len(set(ran))
    sessions = {}
    for line in lines:
        word, identity, turn = line.split()
        session = sessions.get(identity) or sessions.setdefault(identity, stored.load(identity))
        call = next((one for one in session.calls if one.call.id == f"call_{turn}"), None)
        kept = {
            "said": UserMessage(f"question {turn}") in session.messages,
            "called": call is not None,
            "began": call is not None and call.began is not None,
            "ran": call is not None and call.outcome in ("unknown", "done"),
            "ended": FunctionResult(f"call_{turn}", f"answer {turn}", name="run") in session.messages,
        }
        tally.lost += not kept[word]
    tally.unknown = sum(summary.unknown for summary in stored.list())


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        print(
            kill_many(Path(folder) / "sessions.db", words[0] if words else 200, seed=words[1] if len(words) > 1 else 0)
        )
