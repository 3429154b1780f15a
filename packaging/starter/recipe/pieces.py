"""Markup of the dialect as single tokens: the rungs of a function block, of a turn and of a call. Knows text alone.

llama.cpp cuts user-defined tokens out of a text before anything else, the longest first, so each of these is one token
wherever it stands. A function then takes a third of the tokens, and what names it stands next to what describes it.
"""

from __future__ import annotations

TYPES = ("string", "integer", "number", "boolean", "array")
ITEMS = ("string", "integer", "number")
IN_OBJECT, IN_ENTRY, IN_LIST = "\n    ", "\n            ", "\n                "
NEXT_ENTRY = "\n        },\n        {" + IN_ENTRY + '"name": "'
LAST_ENTRY = "\n        }\n    ]\n}"
DESCRIPTION = "," + IN_ENTRY + '"description": "'


def items(kind: str) -> str:
    return "," + IN_ENTRY + '"items": {' + IN_LIST + f'"type": "{kind}"' + IN_ENTRY + "}"


BLOCK = [
    "<FUNCTIONS>{" + IN_OBJECT + '"function": "',
    "</FUNCTIONS>\n\n",
    "{" + IN_OBJECT + '"function": "',
    "\n\n{" + IN_OBJECT + '"function": "',
    '",' + IN_OBJECT + '"description": "',
    '",' + IN_OBJECT + '"arguments": [\n        {' + IN_ENTRY + '"name": "',
    '",' + IN_OBJECT + '"arguments": []\n}',
    *(f'",{IN_ENTRY}"type": "{kind}"' + DESCRIPTION for kind in TYPES),
    '",' + IN_ENTRY + '"type": "',
    *(f'",{IN_ENTRY}"type": "array"' + items(kind) + DESCRIPTION for kind in ITEMS),
    *('"' + items(kind) for kind in ITEMS),
    '",' + IN_ENTRY + '"enum": [' + IN_LIST + '"',
    '",' + IN_LIST + '"',
    '"' + IN_ENTRY + "]",
    '"' + NEXT_ENTRY,
    NEXT_ENTRY,
    '"' + LAST_ENTRY,
    LAST_ENTRY,
    " (required)",
    " (optional)",
    "(required)",
    "(optional)",
    " (required; ",
    " (optional; ",
    'one of \\"',
    '\\", \\"',
    '\\")',
    "; default ",
    "default ",
]
TURN = ["[INST] ", " [/INST]\n\n", "<<SYS>>\n", "\n<</SYS>>\n\n", "Function response from ", ':\n{"', ":\n"]
# A closing quotation mark of a value stays a token of its own: what may follow it depends on the schema.
CALL = [
    *('{"function": "', '", "arguments": {"', '", "arguments": {'),
    *('": "', '": ["', '": [', '": ', ', "', "}}", "]}}", '], "'),
]
PIECES = tuple(dict.fromkeys([*BLOCK, *TURN, *CALL]))
KNOWN = frozenset(PIECES)
# The order in which llama.cpp looks for them.
LONGEST_FIRST = sorted(PIECES, key=lambda piece: -len(piece.encode()))


def cut(text: str) -> list[str]:
    """The text in fragments, pieces among them, as llama.cpp cuts it: every piece in turn, in what is left over."""
    fragments = [text]
    for piece in LONGEST_FIRST:
        if piece not in text:
            continue
        found: list[str] = []
        for fragment in fragments:
            if fragment in KNOWN or piece not in fragment:
                found.append(fragment)
                continue
            first, *others = fragment.split(piece)
            found += [first] if first else []
            for other in others:
                found += [piece, other] if other else [piece]
        fragments = found
    return fragments
