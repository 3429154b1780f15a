"""Stop strings in any chunking."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fclocal.engine.request import Token
from fclocal.engine.stops import StopScanner


def stream(pieces: list[bytes], stops: list[str]) -> tuple[bytes, bool, list[bytes]]:
    """The text that left, whether a stop string was found, and what had left after each push."""
    scanner = StopScanner(stops)
    out: list[Token] = []
    shown: list[bytes] = []
    for index, piece in enumerate(pieces):
        out += scanner.push([Token(index, piece, None, False)])
        shown.append(b"".join(token.piece for token in out))
        if scanner.found:
            break
    if not scanner.found:
        out += scanner.flush()
    return b"".join(token.piece for token in out), scanner.found, shown


def test_a_stop_string_over_several_tokens_never_shows() -> None:
    text, found, shown = stream([b"Hello", b" wor", b"ld. EN", b"D of", b" it"], ["END"])
    assert (text, found) == (b"Hello world. ", True)
    assert all(b"EN" not in part for part in shown)


def test_what_only_began_like_a_stop_string_leaves_later() -> None:
    assert stream([b"a", b"EN", b"x", b"EN"], ["END"])[:2] == (b"aENxEN", False)


def test_the_first_of_several_stop_strings_wins() -> None:
    assert stream([b"one two three"], ["three", "two"])[:2] == (b"one ", True)


def test_characters_split_over_tokens() -> None:
    pieces = [bytes([byte]) for byte in "Grüße 日本 ende".encode()]
    assert stream(pieces, ["日本"])[:2] == ("Grüße ".encode(), True)


def test_no_stop_strings() -> None:
    assert stream([b"a", b"", b"b"], ["", ""])[:2] == (b"ab", False)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("abé", max_size=4), max_size=12), st.lists(st.text("abé", min_size=1, max_size=4), max_size=3))
def test_any_chunking_cuts_where_the_whole_text_would(parts: list[str], stops: list[str]) -> None:
    pieces = [part.encode() for part in parts]
    whole = b"".join(pieces)
    text, found, _ = stream(pieces, stops)
    # The scanner sees the text grow: the stop string that is complete first decides, then the leftmost.
    ends = [(whole.find(stop.encode()), stop) for stop in stops if stop.encode() in whole]
    assert found == bool(ends)
    assert whole.startswith(text)
    if not found:
        assert text == whole
    else:
        assert len(text) in [at for at, _ in ends] or all(stop.encode() not in text for stop in stops)
        assert all(stop.encode() not in text for stop in stops)
