from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fclocal.chat.spans import argument_spans

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 4]), st.booleans())
def test_each_span_holds_the_json_of_its_value(arguments: dict[str, object], indent: int | None, ascii_: bool) -> None:
    text = json.dumps(arguments, indent=indent, ensure_ascii=ascii_)
    found = {name: json.loads(text[start:end]) for name, (start, end) in argument_spans(text).items()}
    assert found == arguments
    assert list(found) == list(arguments)


def test_text_that_is_cut_off_gives_the_arguments_that_are_whole() -> None:
    assert argument_spans('{"a": 1, "b": [1, 2], "c": "x') == {"a": (6, 7), "b": (14, 20)}
    assert argument_spans("nothing") == {}
