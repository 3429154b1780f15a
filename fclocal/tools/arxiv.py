"""arXiv's query language and its Atom feed. Knows no network.

Sources: info.arxiv.org/help/api/user-manual.html (query construction, 5.1), RFC 4287.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from fclocal.functions import JsonObject

_ATOM = "{http://www.w3.org/2005/Atom}"
_FIELDS = ("ti", "au", "abs", "co", "jr", "cat", "rn", "id", "all")
_WORD = re.compile(r"""\s*(\(|\)|(?:[a-z]+:)?"[^"]*"?|[^\s()"]+)""")
_IDLE = frozenset({"a", "about", "and", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "what", "with"})
_OPERATORS = {"AND": "AND", "OR": "OR", "NOT": "ANDNOT", "ANDNOT": "ANDNOT"}


class Unreadable(Exception):
    """A query or an answer that cannot be used, as a sentence."""


def query_of(text: str) -> str:
    """`text` in arXiv's query language: AND, OR, NOT (capitals), parentheses, "phrases" and fields like au: stay as
    they are; plain words side by side must all occur. Raises Unreadable when there is nothing to look for."""
    made: list[str] = []
    depth = 0
    for word in _words(text):
        if word == ")":
            depth -= _closes(made) if depth else 0
            continue
        if word in _OPERATORS:
            _add_operator(made, _OPERATORS[word])
            continue
        if made and made[-1] not in ("(", *_OPERATORS):
            made.append("AND")
        depth += word == "("
        made.append(word if word == "(" else _term(word))
    while made and (made[-1] == "(" or made[-1] in _OPERATORS):
        depth -= made.pop() == "("
    if not made:
        raise Unreadable("The query holds no word to look for.")
    return " ".join([*made, *([")"] * depth)]).replace("( ", "(").replace(" )", ")")


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        if found[1] in "()" or (re.search(r"\w", found[1]) and found[1] not in _IDLE):
            yield found[1]


def _add_operator(made: list[str], operator: str) -> None:
    """The last of several operators in a row holds; AND NOT is ANDNOT; nothing is excluded from nothing."""
    if not made or made[-1] == "(":
        if operator == "ANDNOT":
            raise Unreadable("The query starts with what to leave out. Say first what to look for.")
        return
    _drop_operators(made)
    made.append(operator)


def _closes(made: list[str]) -> bool:
    """Close a parenthesis; one with nothing in it stays open for what follows."""
    _drop_operators(made)
    if made[-1] == "(":
        return False
    made.append(")")
    return True


def _drop_operators(made: list[str]) -> None:
    while made and made[-1] in _OPERATORS:
        made.pop()


def _term(word: str) -> str:
    field, colon, rest = word.partition(":")
    if colon and field in _FIELDS and rest:
        return f"{field}:{_closed(rest)}"
    if colon and not word.startswith('"'):
        word = f'"{word.replace(":", " ").replace(chr(34), " ")}'
    return f"all:{_closed(word)}"


def _closed(phrase: str) -> str:
    return f'"{phrase.strip(chr(34)).strip()}"' if phrase.startswith('"') else phrase


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type: entities are declared there, and a feed has none."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Unreadable("The answer declares a document type, which is not read.")


def read_feed(body: bytes) -> list[JsonObject]:
    """Papers of an Atom feed: title, url, authors, year, and the beginning of the summary. Raises Unreadable."""
    try:
        feed = ElementTree.fromstring(body, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError):
        raise Unreadable("The answer is not the XML that was expected.") from None
    papers = [_paper(entry) for entry in feed.iter(f"{_ATOM}entry")]
    for paper in papers:
        if "/api/errors" in str(paper["url"]):
            raise Unreadable(f"The query was refused: {paper.get('summary', '')}")
    return papers


def _paper(entry: ElementTree.Element) -> JsonObject:
    authors = [_text(author, "name") for author in entry.iter(f"{_ATOM}author")]
    summary = _text(entry, "summary")
    return {
        "title": _text(entry, "title"),
        "url": _text(entry, "id").replace("http://arxiv.org", "https://arxiv.org"),
        "authors": ", ".join([*authors[:3], *(["et al."] if len(authors) > 3 else [])]),
        "year": _text(entry, "published")[:4],
        "summary": summary if len(summary) <= 300 else f"{summary[:300].rstrip()} ...",
    }


def _text(entry: ElementTree.Element, name: str) -> str:
    return " ".join((entry.findtext(f"{_ATOM}{name}") or "").split())
