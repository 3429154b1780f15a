"""Score `ground` on hand-labelled calls. `dev.jsonl` was looked at while the rules were made, `test.jsonl` was not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from fclocal.chat.grounding import ground
from fclocal.functions import Function, from_openai
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage

FOLDER = Path(__file__).parent
TODAY = date(2025, 6, 11)
CASES = ("dev", "test")
SOURCES = ("user", "result", "default", "inferred", "unsupported")


@dataclass
class Score:
    """`pairs` counts (expected, found) of each argument; labels that allow both sides count for none."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    right: int = 0
    total: int = 0
    hits: int = 0
    false_alarms: int = 0
    missed: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Of what was called unsupported, the share that is."""
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Of what is unsupported, the share that was called so."""
        return self.hits / max(1, self.hits + self.missed)

    @property
    def accuracy(self) -> float:
        """The share of arguments whose source is right, of five."""
        return self.right / max(1, self.total)


def functions() -> dict[str, Function]:
    """The functions of the cases by name."""
    lines = (FOLDER / "functions.jsonl").read_text("utf-8").splitlines()
    return {function.name: function for function in (from_openai(json.loads(line), origin="cases") for line in lines)}


def cases(half: str) -> list[dict[str, object]]:
    """The cases of one half, as they stand in the file."""
    return [json.loads(line) for line in (FOLDER / f"{half}.jsonl").read_text("utf-8").splitlines()]


def message(role: str, text: str) -> Message:
    """One message of a case."""
    match role:
        case "user":
            return UserMessage(text)
        case "system":
            return SystemMessage(text)
        case "assistant":
            return AssistantMessage(text)
        case _:
            return FunctionResult("call_0", text)


def score(half: str) -> Score:
    """Ground every call of one half."""
    known = functions()
    total = Score()
    for case in cases(half):
        said = [message(one["role"], one["text"]) for one in case["messages"]]
        call = FunctionCall("call_1", case["function"], case["arguments"])
        origins = ground(call, known[case["function"]], said, probabilities={}, today=TODAY)
        for name, label in case["expected"].items():
            _count(total, case, name, label.split("|"), origins[name].source, origins[name].text)
    return total


def _count(total: Score, case: dict[str, object], name: str, allowed: list[str], found: str, text: str) -> None:
    total.total += 1
    total.right += found in allowed
    total.pairs[(allowed[0], found)] += 1
    if found not in allowed:
        said = " / ".join(one["text"] for one in case["messages"])
        value = case["arguments"][name]
        total.wrong.append(f"{case['case']:>4} {name}={value!r} is {'|'.join(allowed)}, not {found} ({text!r}): {said}")
    if "unsupported" in allowed and len(allowed) > 1:
        return
    wanted, called = allowed == ["unsupported"], found == "unsupported"
    total.hits += wanted and called
    total.false_alarms += called and not wanted
    total.missed += wanted and not called


def table(half: str, found: Score) -> str:
    """The figures, and what each label was taken for."""
    lines = [
        f"{half}: {found.total} arguments of {len(cases(half))} calls",
        f"  unsupported: precision {found.precision:.3f}, recall {found.recall:.3f}"
        f" ({found.hits} found, {found.false_alarms} false alarms, {found.missed} missed)",
        f"  source right: {found.accuracy:.3f}",
        f"  {'expected':<12}" + "".join(f"{source:>12}" for source in SOURCES),
    ]
    for expected in SOURCES:
        counts = "".join(f"{found.pairs[(expected, source)]:>12}" for source in SOURCES)
        lines.append(f"  {expected:<12}{counts}")
    return "\n".join(lines)
