"""Print how well `ground` does on the labelled cases: `python -m tests.chat.labelled [dev|test] [--wrong]`."""

from __future__ import annotations

import sys

from tests.chat.labelled.score import CASES, score, table


def main(words: list[str]) -> None:
    """Score one half or both."""
    for half in [word for word in words if word in CASES] or list(CASES):
        found = score(half)
        print(table(half, found))
        if "--wrong" in words:
            print("\n".join(found.wrong))


main(sys.argv[1:])
