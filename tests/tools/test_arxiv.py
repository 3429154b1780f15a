from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fclocal.tools.arxiv import Unreadable, query_of, read_feed

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <link href="http://arxiv.org/api/query?search_query%3Dall%3Acats" rel="self" type="application/atom+xml"/>
  <title type="html">ArXiv Query: search_query=all:cats</title>
  <id>http://arxiv.org/api/abc</id>
  <opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">2</opensearch:totalResults>
  <entry>
    <id>http://arxiv.org/abs/2301.00001v2</id>
    <updated>2023-02-01T00:00:00Z</updated>
    <published>2022-12-31T18:00:00Z</published>
    <title>On the Purring
      of Cats &amp; Dogs</title>
    <summary>  We ask why.
    LONG</summary>
    <author><name>Ann Example</name></author>
    <author><name>Bob Example</name></author>
    <author><name>Cid Example</name></author>
    <author><name>Dot Example</name></author>
    <arxiv:comment xmlns:arxiv="http://arxiv.org/schemas/atom">5 pages</arxiv:comment>
    <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
  </entry>
  <entry><id>http://arxiv.org/abs/math/0001v1</id><title>Short</title></entry>
</feed>""".replace("LONG", "word " * 200)

ERROR = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry>
<id>http://arxiv.org/api/errors#incorrect_id_format_for_1234</id><title>Error</title>
<summary>incorrect id format for 1234</summary></entry></feed>"""


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("deep learning", "all:deep AND all:learning"),
        ("transformers AND attention", "all:transformers AND all:attention"),
        ("graph OR tree NOT neural", "all:graph OR all:tree ANDNOT all:neural"),
        ("(graph OR tree) AND NOT neural", "(all:graph OR all:tree) ANDNOT all:neural"),
        ('"attention is all you need"', 'all:"attention is all you need"'),
        ('au:hinton ti:"deep belief"', 'au:hinton AND ti:"deep belief"'),
        ("history of AI and ethics", "all:history AND all:AI AND all:ethics"),
        ("GPT-4: a report", 'all:"GPT-4 " AND all:report'),
        ("((open", "((all:open))"),
        ("closed))", "all:closed"),
        ('"never closed', 'all:"never closed"'),
        ("a AND", None),
        ("cats AND", "all:cats"),
        ("OR cats", "all:cats"),
        ("cats AND OR NOT dogs", "all:cats ANDNOT all:dogs"),
        ("cats () dogs", "all:cats AND (all:dogs)"),
        ("", None),
        ("AND OR", None),
        ("NOT cats", None),
        ("!!! ???", None),
    ],
)
def test_queries(text: str, query: str | None) -> None:
    if query is None:
        with pytest.raises(Unreadable, match="query"):
            query_of(text)
    else:
        assert query_of(text).replace(' "', '"') == query.replace(' "', '"')


@given(st.text(alphabet='ab ()":ANDORT', max_size=40))
def test_queries_are_balanced(text: str) -> None:
    try:
        query = query_of(text)
    except Unreadable:
        return
    outside = re.sub(r'"[^"]*"', "phrase", query)
    assert outside.count("(") == outside.count(")") and '"' not in outside
    assert "()" not in outside and not query.endswith(("AND", "OR", "ANDNOT"))


def test_a_feed() -> None:
    first, second = read_feed(FEED.encode())
    assert first["title"] == "On the Purring of Cats & Dogs"
    assert first["url"] == "https://arxiv.org/abs/2301.00001v2"
    assert first["authors"] == "Ann Example, Bob Example, Cid Example, et al."
    assert first["year"] == "2022"
    assert str(first["summary"]).startswith("We ask why. word") and len(str(first["summary"])) < 310
    assert second == {
        "title": "Short",
        "url": "https://arxiv.org/abs/math/0001v1",
        "authors": "",
        "year": "",
        "summary": "",
    }


def test_a_feed_without_papers() -> None:
    assert read_feed(b'<feed xmlns="http://www.w3.org/2005/Atom"/>') == []


BOMB = '<!DOCTYPE f [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE f SYSTEM "file:///etc/passwd"><feed/>'


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (ERROR.encode(), "incorrect id format"),
        (f"{BOMB}<feed>&b;</feed>".encode(), "document type"),
        (f'<?xml version="1.0" encoding="utf-16"?>{BOMB}<feed>&b;</feed>'.encode("utf-16"), "document type"),
        (OUTSIDE.encode(), "document type"),
        (b"<feed>&undefined;</feed>", "not the XML"),
        (b"<html><body>Busy", "not the XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><feed/>', "not the XML"),
        (b"", "not the XML"),
        (b"\xff\xfe\x00", "not the XML"),
    ],
)
def test_answers_that_are_refused(body: bytes, part: str) -> None:
    with pytest.raises(Unreadable, match=part):
        read_feed(body)
