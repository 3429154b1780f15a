"""Who may talk to the endpoint and how much, on every route of it."""

from __future__ import annotations

import json
import socket
import time

import pytest
import requests

from fclocal.server.guard import allowed_hosts, is_loopback
from fclocal.server.settings import Limits
from tests.server.conftest import Running, Start

JSON = {"Content-Type": "application/json"}


def routes(served: Running) -> list[tuple[str, str]]:
    paths = requests.get(f"{served.url}/openapi.json", timeout=20).json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods] + [
        ("GET", "/openapi.json")
    ]


def test_a_rebound_name_reaches_no_route(served: Running) -> None:
    for host in (
        "evil.test",
        f"evil.test:{served.port}",
        "127.0.0.1",
        "localhost:1",
        "",
        f"127.0.0.1.evil:{served.port}",
    ):
        for method, path in routes(served):
            answer = requests.request(method, served.url + path, headers={**JSON, "Host": host}, data="{}", timeout=20)
            assert answer.status_code in (400, 421), (method, path, host)
            assert "models" not in answer.text


def test_a_foreign_page_reaches_no_route(served: Running) -> None:
    for origin in ("https://evil.test", "null", f"http://evil.test:{served.port}", f"ftp://127.0.0.1:{served.port}"):
        for method, path in routes(served):
            answer = requests.request(
                method, served.url + path, headers={**JSON, "Origin": origin}, data="{}", timeout=20
            )
            assert answer.status_code == 403, (method, path, origin)
            assert "access-control-allow-origin" not in answer.headers
    cross = requests.get(f"{served.url}/v1/models", headers={"Sec-Fetch-Site": "cross-site"}, timeout=20)
    assert cross.status_code == 403
    own = {"Origin": f"http://localhost:{served.port}"}
    assert requests.get(f"{served.url}/v1/models", headers=own, timeout=20).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat", "/completion"])
def test_unreadable_bodies_are_refused_in_one_wording(served: Running, path: str) -> None:
    deep, long = b"[" * 100_000, b'{"n": 1' + b"0" * 5000 + b"}"
    for body in (b"", b"{", b"\xff\xfe", b'{"a": "\\ud800', deep, long):
        answer = requests.post(served.url + path, headers=JSON, data=body, timeout=20)
        assert answer.status_code == 400 and "The body cannot be read as JSON." in answer.text, (body[:20], answer.text)


def test_only_json_is_read(served: Running) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"):
        for method, path in routes(served):
            if method == "POST":
                answer = requests.post(served.url + path, headers={"Content-Type": kind}, data='{"x": 1}', timeout=20)
                assert answer.status_code == 415, (path, kind)


def test_preflights_are_not_answered(served: Running) -> None:
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    assert requests.options(f"{served.url}/v1/chat/completions", headers=headers, timeout=20).status_code == 403


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/completion", "/v1/messages", "/api/chat", "/v1/responses"])
def test_large_bodies_are_refused_sized_and_chunked(served: Running, path: str) -> None:
    large = b'{"prompt": "' + b"x" * (5 << 20) + b'"}'
    sized = requests.post(served.url + path, data=large, headers=JSON, timeout=20)
    parts = (large[at : at + 65536] for at in range(0, len(large), 65536))
    chunked = requests.post(served.url + path, data=parts, headers=JSON, timeout=20)
    assert sized.status_code == chunked.status_code == 413
    assert "4 MB" in sized.text and "error" in sized.json()


def test_a_client_that_asks_first_is_told_at_once(served: Running) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        head = f"POST /completion HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b'{"messages": NaN}', b"\xff\xfe", b'{"messages": []}',
        b'{"messages": [{"role": "user", "content": "x"}], "seed": 99999999999999999999999}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "x"}], "logit_bias": {"99999999": 1}}',
        b'{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": ""}}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "web_search"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "stop": [1]}',
        b'{"prompt": {}}', b'{"prompt": [-1]}', b'{"tokens": ["x"]}', b'{"model": {}}', b'{"model": "\\u0000"}',
    ],
)  # fmt: skip
def test_nonsense_is_the_clients_fault(served: Running, body: bytes) -> None:
    for method, path in routes(served):
        if method == "POST":
            answer = requests.post(served.url + path, data=body, headers=JSON, timeout=20)
            assert 200 <= answer.status_code < 500, (path, answer.text)
            assert "Traceback" not in answer.text and "/work" not in answer.text and "site-packages" not in answer.text


def test_lone_surrogates_become_replacement_characters(served: Running) -> None:
    body = b'{"messages": [{"role": "user", "content": "a\\ud800b"}], "max_tokens": 2}'
    assert requests.post(f"{served.url}/v1/chat/completions", data=body, headers=JSON, timeout=20).status_code == 200
    tokens = requests.post(
        f"{served.url}/tokenize", data=b'{"content": "a\\ud83d\\ude00\\udc00"}', headers=JSON, timeout=20
    )
    back = requests.post(f"{served.url}/detokenize", json=tokens.json(), timeout=20).json()["content"]
    assert back.strip() == "a\U0001f600\ufffd"


def test_a_hostile_pattern_does_not_hold_up_others(served: Running) -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "string", "pattern": "^(a+)+b$", "maxLength": 40}},
        "required": ["x"],
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body = {
        "messages": [{"role": "user", "content": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}],
        "tools": [tool],
        "tool_choice": "required",
    }
    answer = requests.post(f"{served.url}/v1/chat/completions", json={**body, "max_tokens": 200}, timeout=60)
    assert answer.status_code in (200, 422)
    began = time.perf_counter()
    assert requests.get(f"{served.url}/health", timeout=20).ok
    assert time.perf_counter() - began < 1


def test_a_key_is_asked_for_everywhere_but_the_page(start: Start) -> None:
    served = start(key="sesam")
    for method, path in routes_with(served, "sesam"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesam"}, {"x-api-key": "sesa"}):
            answer = requests.request(method, served.url + path, headers={**JSON, **headers}, data="{}", timeout=20)
            assert answer.status_code == (200 if path in ("/", "/health") else 401), path
    for headers in ({"Authorization": "Bearer sesam"}, {"x-api-key": "sesam"}):
        assert requests.get(f"{served.url}/v1/models", headers=headers, timeout=20).ok


def routes_with(served: Running, key: str) -> list[tuple[str, str]]:
    document = requests.get(f"{served.url}/openapi.json", headers={"x-api-key": key}, timeout=20).json()
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


def test_hosts_and_loopback() -> None:
    assert "[::1]:8080" in allowed_hosts("127.0.0.1", 8080) and "localhost" not in allowed_hosts("127.0.0.1", 8080)
    assert "localhost" in allowed_hosts("127.0.0.1", 80)
    assert "10.1.2.3:8080" in allowed_hosts("10.1.2.3", 8080)
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("127.8.8.8") and is_loopback("localhost")
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""))


def read_to_end(client: socket.socket) -> bytes:
    received = b""
    try:
        while part := client.recv(65536):
            received += part
    except ConnectionError:
        pass
    return received


def trickle(client: socket.socket, text: bytes, seconds: float) -> float:
    """Send a byte at a time until the server hangs up; how long that took."""
    began = time.perf_counter()
    client.settimeout(0.05)
    for at in range(int(seconds / 0.05)):
        try:
            client.sendall(text[at % len(text)].to_bytes())
            if client.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.perf_counter() - began


def test_slow_headers_and_bodies_are_cut_off(start: Start) -> None:
    limits = Limits(header_deadline=0.4, body_deadline=0.6)
    served = start(limits=limits)
    with socket.create_connection(("127.0.0.1", served.port)) as silent:
        began = time.perf_counter()
        assert read_to_end(silent) == b"" and 0.3 < time.perf_counter() - began < 3
    with socket.create_connection(("127.0.0.1", served.port)) as slow:
        assert 0.3 < trickle(slow, b"GET /health HTTP/1.1\r\nX: " + b"y" * 500, 5) < 3
    with socket.create_connection(("127.0.0.1", served.port)) as slow:
        head = f"POST /completion HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
        slow.sendall(f"{head}Content-Length: 5000\r\n\r\n".encode())
        assert 0.5 < trickle(slow, b"x", 5) < 3
    with requests.Session() as kept:
        for pause in (0, 0.6):
            time.sleep(pause)  # longer than the header deadline: an idle connection is not a slow one
            assert kept.get(f"{served.url}/health", timeout=20).ok


def test_a_flood_of_connections_gives_way(start: Start) -> None:
    served = start(limits=Limits(connections=20))
    flood = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(60)]
    try:
        assert requests.get(f"{served.url}/health", timeout=5).ok
        assert json.loads(requests.get(f"{served.url}/fclocal/state", timeout=5).text)["serving"] == 0
    finally:
        for client in flood:
            client.close()
