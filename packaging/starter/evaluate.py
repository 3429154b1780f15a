"""Score a GGUF through the product's own engine and grammar. Knows cases and scores, not how cases are made."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter, defaultdict
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from recipe.cases import Case, all_cases  # noqa: E402

from fclocal.engine.engine import Engine  # noqa: E402  # the checkout need not be installed
from fclocal.engine.request import Decoded, Request  # noqa: E402
from fclocal.functions import from_openai  # noqa: E402
from fclocal.grammar.calls import Choice, turn_grammar  # noqa: E402
from fclocal.grammar.schema import compile_schema  # noqa: E402
from fclocal.grammar.syntax import ONE_LINE  # noqa: E402

MODEL = HERE.parents[1] / "fclocal" / "models" / "starter" / "starter.gguf"


@dataclass(frozen=True, slots=True)
class Score:
    """What one reply got right; None where the question does not arise."""

    case: Case
    auto: str
    forced: str
    marks: dict[str, bool]


async def reply(engine: Engine, case: Case, choice: Choice) -> str:
    offered = [
        (name, compile_schema(from_openai({"name": name, "parameters": schema}, origin="case").parameters))
        for name, schema in case.schemas
    ]
    grammar = turn_grammar(offered, syntax=ONE_LINE, choice=choice)
    prompt: list[int] = list(engine.bos())
    for index, part in enumerate(case.prompt.split("</s>")):
        prompt += [*(engine.tokenize("</s>", special=True) if index else ()), *engine.tokenize(part, special=False)]
    request = Request(
        tuple(prompt),
        grammar=grammar.lark if grammar else None,
        reserve=grammar.reserve if grammar else 0,
        max_tokens=400,
    )
    found = b""
    async with aclosing(engine.generate(request)) as steps:
        async for step in steps:
            if isinstance(step, Decoded):
                found += b"".join(token.piece for token in step.tokens)
    return found.decode("utf-8", "replace")


def parsed(text: str) -> tuple[str, object] | None:
    """The first call of a reply; None for text."""
    try:
        value = json.loads(text.split("\n")[0])
    except ValueError:
        return None
    return (value["function"], value["arguments"]) if isinstance(value, dict) and "function" in value else None


def names(case: Case, text: str) -> bool:
    """Whether a question names a missing argument: it is the argument's question, or has every word of its name."""
    said = words_of(text)
    return text in case.asks or any(words_of(name) <= said for name in case.ask)


def words_of(text: str) -> set[str]:
    """The words of a text or of a name in any style, in lower case."""
    return {word.lower() for word in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", text) if word}


def keeps(text: str, value: str) -> bool:
    """Whether a value stands in a text, not as a part of a longer word or number."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(value)}(?![\w-]|\.\w)", text))


async def score(engine: Engine, case: Case) -> Score:
    auto = await reply(engine, case, "auto")
    calls = parsed(auto)
    marks: dict[str, bool] = {}
    forced = ""
    if case.function:
        forced = await reply(engine, case, "required")
        call = parsed(forced)
        single = "\n" not in forced
        marks["function"] = call is not None and call[0] == case.function
        marks["exact"] = single and call == (case.function, case.arguments)
        marks["auto exact"] = "\n" not in auto and calls == (case.function, case.arguments)
        marks["decision"] = calls is not None
    elif case.answer:
        if case.kept:
            marks["values kept"] = calls is None and all(keeps(auto, value) for value in case.kept)
        marks["answer exact"] = auto == case.answer
    else:
        marks["decision"] = calls is None
        if case.ask:
            marks["names it"] = calls is None and names(case, auto)
    return Score(case, auto, forced, marks)


def table(scores: list[Score]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Lines of the table, and the shares by set and mark."""
    sets: dict[str, list[Score]] = defaultdict(list)
    for one in scores:
        sets[one.case.set].append(one)
    columns = ["function", "exact", "auto exact", "decision", "names it", "values kept", "answer exact"]
    lines = ["| set | n | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    data: dict[str, dict[str, float]] = {}
    for label, members in sets.items():
        shares = {
            mark: 100
            * sum(one.marks[mark] for one in members if mark in one.marks)
            / max(1, sum(mark in one.marks for one in members))
            for mark in columns
            if any(mark in one.marks for one in members)
        }
        data[label] = {"n": len(members), **{mark: round(share, 1) for mark, share in shares.items()}}
        lines.append(
            f"| {label} | {len(members)} | "
            + " | ".join(f"{shares[mark]:.0f}" if mark in shares else "" for mark in columns)
            + " |"
        )
    return lines, data


def by(scores: list[Score], what: str) -> tuple[list[str], dict[str, float]]:
    """Exact calls (forced) by number of arguments given, or by the type of any argument."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for one in scores:
        if "exact" not in one.marks or one.case.set.startswith("by hand"):
            continue
        keys = [str(len(one.case.arguments))] if what == "arguments" else sorted(set(one.case.types))
        for key in keys:
            total[key] += 1
            right[key] += one.marks["exact"]
    shares = {key: round(100 * right[key] / total[key], 1) for key in sorted(total)}
    return [
        f"exact by {what}: " + ", ".join(f"{key} {share:.0f} (n {total[key]})" for key, share in shares.items())
    ], shares


async def run(options: argparse.Namespace) -> None:
    scores: list[Score] = []
    begun = time.time()
    async with await Engine.open(options.model, context=4096, threads=options.threads) as engine:
        for case in all_cases(options.count, options.only):
            scores.append(await score(engine, case))
    lines, data = table(scores)
    more, types = by(scores, "type")
    also, counts = by(scores, "arguments")
    print("\n".join([*lines, "", *more, *also, f"{len(scores)} cases in {time.time() - begun:.0f} s"]))
    if options.failures:
        wrong = [
            one
            for one in scores
            if not all(one.marks.get(mark, True) for mark in ("exact", "decision", "values kept", "names it"))
        ]
        for one in wrong[: options.failures]:
            asked = one.case.prompt.rsplit("[INST] ", 1)[1].removesuffix(" [/INST]\n\n")
            wanted = (
                json.dumps({one.case.function: one.case.arguments}, ensure_ascii=False)
                if one.case.function
                else one.case.answer or (f"ask {' or '.join(one.case.ask)}" if one.case.ask else "text")
            )
            print(f"\n[{one.case.set}] {asked}\n  wanted {wanted}\n  auto   {one.auto}\n  forced {one.forced}")
    if options.json:
        options.json.write_text(
            json.dumps({"sets": data, "types": types, "arguments": counts, "cases": len(scores)}, indent=2) + "\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--count", type=int, default=300, help="cases of each generated set")
    parser.add_argument("--only", action="append", default=[], help="part of a set's name; repeatable")
    parser.add_argument("--failures", type=int, default=0, help="print so many wrong replies")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
