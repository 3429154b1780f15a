"""Marker escapes: no marker stays, no value changes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fclocal.dialects.escape import dump, escape_markers, result_json

MARKERS = ("<FUNCTIONS>", "</FUNCTIONS>", "[INST]", "<<SYS>>", "<</SYS>>", "### Instruction:", "<|")
PARTS = st.lists(st.sampled_from([*MARKERS, "\\", '"', "<", "[", "#", "\n", "x", "é"]), max_size=8).map("".join)
VALUES = PARTS | st.lists(PARTS, max_size=3) | st.dictionaries(PARTS, PARTS, max_size=3)


@given(VALUES, st.sampled_from([None, 4]))
def test_values_stay_and_markers_go(value: object, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    escaped = escape_markers(text, MARKERS)
    assert json.loads(escaped) == value
    assert not any(marker in escaped for marker in MARKERS)


@given(PARTS)
def test_results_are_json_of_the_content(content: str) -> None:
    read = json.loads(result_json(content, MARKERS))
    assert read == content or read == json.loads(content)


def test_text_without_markers_is_untouched() -> None:
    assert escape_markers('{"a": "<b> [x]"}', MARKERS) == '{"a": "<b> [x]"}'
    assert dump({"数": 1.0}) == '{"数": 1.0}'
