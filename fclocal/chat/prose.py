"""Free text: how much of a sentence, query or title comes from what was said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fclocal.chat.evidence import Evidence, Leaf, stronger
from fclocal.chat.folding import spelled, stem, words_of
from fclocal.chat.heard import Heard, Passage

_STOP = spelled("""
    a an the of in on at to for from by with about as into over via and or not nor but if then than so that this these
    those it its is are was were be been am do does did has have had will would can could should shall may might must
    i im ive ill id you your he she his her they them their we our us me my mine who what which when where how why there
    here please also just s t re ve ll d m dont doesnt didnt isnt arent wasnt cant wont up out off de la le el der die
    das und any some all very too much many more most between during no yes
""")
_FILLER = spelled("""
    hello hi hey dear regard best kind sincerely thank thanks cheer write writing like want wish need let know inform
    regarding request information info detail note update new latest recent find search show get give list ask tell user
    chat conversation message email mail subject select where order count group data result file contain content
    describe description overview guide current
""")
STOP_WORDS = frozenset((*_STOP, *map(stem, _STOP)))
FILLER = frozenset(map(stem, _FILLER))
_WRITTEN = spelled("""
    content text body message description summary code note notes comment caption answer response reply explanation
    poem story script title subject memo review
""")
_ASKED = spelled("""
    query queries q search keyword keywords question prompt topic label task instruction instructions sql reminder
    headline heading reason details feedback activity
""")
_WRITTEN_NAMES = frozenset(map(stem, _WRITTEN))
_PROSE_ENDS = frozenset(map(stem, spelled("string line term terms words phrase field input value")))
_PROSE_NAMES = _WRITTEN_NAMES | frozenset(map(stem, _ASKED))
_COMPOSES = re.compile(
    r"\b(?:write|draft|compose|summari[sz]e|generate|create|explain|describe|invent|rephrase|rewrite|reword|outline"
    r"|come up with|make up|brainstorm|suggest|polite(?:ly)?|formulate|translate|recap|sum up|reply|respond|announce"
    r"|apologi[sz]e|congratulate|thank)\b"
)
_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|dear|good (?:morning|evening|afternoon))\b[^,!.\n]{0,40}[,!]", re.IGNORECASE
)
LONG = 4


def content_words(text: str) -> tuple[str, ...]:
    """The words of `text` that carry its meaning, folded."""
    return tuple(word for word in words_of(text) if stem(word) not in STOP_WORDS)


def is_prose(leaf: Leaf) -> bool:
    """Whether an argument takes words of the model's own choosing, such as a query or a title."""
    words = [stem(word) for word in leaf.name_words] or [""]
    return words[-1] in _PROSE_NAMES or (words[0] in _PROSE_NAMES and words[-1] in _PROSE_ENDS)


def find_prose(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence for free text: all of its content words were said, or most, or the user asked to write it."""
    words = content_words(_GREETING.sub("", text, count=1))
    stems = tuple(dict.fromkeys(map(stem, words)))
    telling = tuple(one for one in stems if one not in FILLER)
    prose = is_prose(leaf)
    if not prose and len(telling) < LONG:
        return None
    asked = [message for message in heard if message.side != "reply"]
    found = _covered(telling or stems, asked, least=0.5 if prose else 0.8, acronyms=words)
    if found is None or found.rank > 2:
        found = stronger(found, _covered(telling or stems, heard, least=0.6, acronyms=words) if prose else None)
    return found or (_composed(stems, leaf, heard) if prose else None)


def _covered(stems: Sequence[str], heard: Sequence[Heard], *, least: float, acronyms: Sequence[str]) -> Evidence | None:
    """Evidence when at least the share `least` of `stems` was said; said outright when all of them were."""
    if not stems:
        return None
    places: dict[str, Evidence] = {}
    for message in sorted(heard, key=lambda one: one.side != "user"):
        for one in stems:
            if one not in places and one in message.stems:
                word = message.words[message.stems[one]]
                places[one] = Evidence(
                    message.side, message.side in ("user", "result"), message.passage(word.start, word.end)
                )
    missing = [one for one in stems if one not in places]
    if missing:
        places |= _acronyms(missing, acronyms, heard)
    share = len(places) / len(stems)
    if share < least or not places:
        return None
    sides = {place.side for place in places.values()}
    weak = max(places.values(), key=lambda place: place.rank)
    source = next(place for place in places.values() if place.side == weak.side)
    said = share == 1 and len(sides) == 1 and weak.said
    passage = _stretch([place for place in places.values() if place.passage.message == source.passage.message], heard)
    return Evidence(source.side, said, passage or source.passage)


def _stretch(places: Sequence[Evidence], heard: Sequence[Heard]) -> Passage | None:
    """The stretch of one message over all of `places`, if it is short."""
    start = min(place.passage.span[0] for place in places)
    end = max(place.passage.span[1] for place in places)
    message = next(one for one in heard if one.index == places[0].passage.message)
    if end - start > 160:
        return None
    return Passage(message.raw[start:end], message.index, (start, end))


def _acronyms(missing: Sequence[str], words: Sequence[str], heard: Iterable[Heard]) -> dict[str, Evidence]:
    """Words that stand behind a said acronym ("LLM"), and acronyms of said words."""
    found: dict[str, Evidence] = {}
    initials = "".join(word[0] for word in words)
    for message in heard:
        for key, positions in message.positions.items():
            at = initials.find(key) if 2 < len(key) < 6 else -1
            if at >= 0:
                word = message.words[positions[0]]
                evidence = Evidence(message.side, False, message.passage(word.start, word.end))
                found |= {one: evidence for one in map(stem, words[at : at + len(key)]) if one in missing}
    return found


def _composed(stems: Sequence[str], leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence when the user asked the model to write something, and this is where it goes."""
    if len(stems) < LONG or not any(stem(word) in _WRITTEN_NAMES for word in leaf.name_words):
        return None
    for message in heard:
        if message.side == "user" and (asked := _COMPOSES.search(message.text[:4000])):
            return Evidence("user", False, message.passage(asked.start(), asked.end()))
    return None
