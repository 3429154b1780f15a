"""Patterns rewritten for linear engines mean what they meant."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from fclocal.grammar.patterns import Unportable, for_check, for_grammar, for_least, searcher
from fclocal.grammar.probe import short_texts
from fclocal.grammar.words import all_but

ALPHABET = "ab1 _-.\n\t/é"
ATOMS = [
    "a",
    "b",
    ".",
    "\\d",
    "\\w",
    "\\s",
    "\\S",
    "[ab]",
    "[^a]",
    "[\\w-]",
    "[a-c1]",
    "\\.",
    "(a|b)",
    "(?:ab)",
    "/",
    "-",
    "\\W",
    "[^\\s]",
]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "+?"]

pieces = st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)).map("".join), min_size=1, max_size=4)
patterns = st.builds(
    lambda start, body, end: start + "".join(body) + end, st.sampled_from(["", "^"]), pieces, st.sampled_from(["", "$"])
)
texts = st.text(ALPHABET, max_size=8)


@settings(max_examples=300, deadline=None)
@given(patterns, st.lists(texts, min_size=1, max_size=6))
def test_the_exact_reading_agrees_with_python_on_plain_patterns(pattern: str, samples: list[str]) -> None:
    search = searcher(pattern)
    assert search is not None
    stock = re.compile(pattern.replace("$", "\\Z"), re.ASCII)
    for sample in samples:
        assert search(sample) == (stock.search(sample) is not None), sample


@settings(max_examples=100, deadline=None)
@given(patterns)
def test_the_narrow_reading_never_admits_more(pattern: str) -> None:
    search = searcher(pattern)
    assert search is not None
    spelled = for_grammar(pattern)
    assert spelled.exact
    for text in short_texts(0, 2000, spelled.patterns, 4):
        assert search(text), text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("abc", max_size=4), min_size=1, max_size=5), st.text("abcd", max_size=5))
def test_all_but_some_words(words: list[str], text: str) -> None:
    assert (re2.search(all_but(words), text) is None) == (text in words)


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        (r"^\u4e2d+$", ["中"], ["a"]),
        (r"^\ud83d\ude00$", ["😀"], ["a"]),
        (r"^\x41\cA?$", ["A", "A\x01"], ["B"]),
        (r"^[\]a&&b[-]$", ["]", "&", "[", "-"], ["c"]),
        (r"^\/path\/$", ["/path/"], ["path"]),
        (r"^(?<year>\d{4})$", ["2024"], ["24"]),
        (r"^a{,2}$", ["a{,2}"], ["aa"]),
        (r"^[^]$", ["a", "\n"], [""]),
        (r"(?i)^abc$", ["aBc"], ["abd"]),
        (r"^\p{Lu}$", ["É"], ["é"]),
        (r"^\p{General_Category=Lu}[\p{sc=Greek}\d]+$", ["Éα1"], ["éα", "Éa"]),
        (r"^\P{Script=Greek}$", ["a"], ["α"]),
        (r"^.{1500,2500}$", ["a" * 1500, "a" * 2500], ["a" * 1499, "a" * 2501]),
        (r"^a|b$", ["ax", "xb"], ["xa"]),
        (r"\Aab\Z", ["ab"], ["ab\n"]),
    ],
)
def test_spellings_of_other_engines(pattern: str, inside: list[str], outside: list[str]) -> None:
    search = searcher(pattern)
    assert search is not None
    assert [text for text in inside if not search(text)] == []
    assert [text for text in outside if search(text)] == []


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", "a(?=b)", "(?<!a)b", r"\k<x>", "[b-a]", "a**", r"\ud83d", "(?s)a", "x" * 5000]
)
def test_what_no_linear_engine_takes(pattern: str) -> None:
    with pytest.raises(Unportable):
        for_check(pattern)
    assert searcher(pattern) is None


def test_endless_runs_before_the_end_are_bounded() -> None:
    assert for_grammar("^a*b$").patterns == ("^a{0,200}b$",)
    assert for_grammar("^ab*$").patterns == ("^ab*$",)
    assert for_least("^a{0,200}b{2,}c?$") == "^(?:^a{0}b{2}c{0}$)$"
