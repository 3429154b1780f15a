"""Kill a process in mid-turn at a random moment, many times, and look for what was lost or ran twice.

`python -m tests.chat.kill_loop [KILLS] [SEED]`, 200 kills by default.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fclocal.chat.store import Sessions
from fclocal.chat.stored import StoredCall

WRITER = Path(__file__).with_name("turn_writer.py")


@dataclass
class Tally:
    """What a run of kills came to.

    `acknowledged` counts what the store said it had kept; `lost` what of it is not there; `ran` and `twice` count calls
    that ran, and that ran more than once; `unannounced` those that ran without their intent in the file.
    """

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    ran: int = 0
    twice: int = 0
    unannounced: int = 0
    unknown: int = 0
    integrity: str = ""


def kill_many(folder: Path, kills: int, *, seed: int = 0) -> Tally:
    """Let a process hold a conversation in `folder`, kill it and let the next go on, `kills` times; then look."""
    chance = random.Random(seed)
    path, log = folder / "sessions.db", folder / "ran.log"
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writers:
        lines = [line for _ in range(kills) for line in _kill_one(writers, chance)]
        assert writers.stdin is not None
        writers.stdin.close()
    with Sessions(path) as stored:
        tally = Tally(kills=kills, acknowledged=len(lines), integrity=stored.check())
        calls = {call.call.id: call for one in stored.list() for call in stored.load(one.id).calls}
    ran = Counter(log.read_text().split())
    tally.lost = sum(not _kept(line, calls) for line in lines)
    tally.ran = len(ran)
    tally.twice = sum(times > 1 for times in ran.values())
    tally.unannounced = sum(calls[identity].began is None if identity in calls else True for identity in ran)
    tally.unknown = sum(call.outcome == "unknown" for call in calls.values())
    return tally


def _kill_one(writers: subprocess.Popen[str], chance: random.Random) -> list[str]:
    """What one process got acknowledged before it was killed, some milliseconds after its 1st to 12th line."""
    assert writers.stdin is not None and writers.stdout is not None
    print("next", file=writers.stdin, flush=True)
    process = int(writers.stdout.readline().split()[1])
    lines = [writers.stdout.readline() for _ in range(chance.randint(1, 12))]
    killer = threading.Timer(chance.random() * 0.02, os.kill, (process, signal.SIGKILL))
    killer.start()
    while (line := writers.stdout.readline()) != "gone\n":
        lines.append(line)
    killer.join()
    return [line.strip() for line in lines]


def _kept(line: str, calls: dict[str, StoredCall]) -> bool:
    word, _, identity = line.split()
    call = calls.get(identity)
    if call is None:
        return False
    return word == "called" or (call.began is not None if word == "began" else call.outcome == "done")


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place:
        print(kill_many(Path(place), *words[:1] or (200,), seed=words[1] if len(words) > 1 else 0))
