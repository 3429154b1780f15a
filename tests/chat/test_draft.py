from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fclocal.chat.draft import Draft
from fclocal.engine.request import Token


def tokens(*pieces: bytes) -> list[Token]:
    return [Token(index, piece, -float(index), False) for index, piece in enumerate(pieces)]


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_text_is_the_same_however_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    draft = Draft()
    streamed = draft.add(tokens(*(data[start:end] for start, end in pairwise(edges))))
    assert streamed + draft.finish() == data.decode("utf-8", "replace") == draft.text


def test_a_character_belongs_to_the_token_that_completed_it() -> None:
    draft = Draft()
    draft.add(tokens(b"a", "é".encode()[:1], "é".encode()[1:], b"bc"))
    assert draft.text == "aébc"
    assert [draft.token_at(char) for char in range(4)] == [0, 2, 3, 3]


def test_log_probabilities_add_up_over_sampled_tokens_only() -> None:
    draft = Draft()
    draft.add([Token(0, b"ab", -0.5, False), Token(1, b"cd", None, True), Token(2, b"ef", -0.25, False)])
    assert draft.logprob(0, 6) == pytest.approx(-0.75)
    assert draft.logprob(2, 4) is None
    assert draft.logprob(3, 3) is None


def test_keep_forgets_what_came_after() -> None:
    draft = Draft()
    draft.add(tokens(b"one", b" two", b" three"))
    draft.keep(2)
    assert draft.text == "one two"
    draft.add(tokens(b"!"))
    assert draft.text == "one two!"
