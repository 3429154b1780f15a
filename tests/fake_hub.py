"""A Hugging Face Hub on 127.0.0.1 that can be told to fail in every way a real one does."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

CHUNK = 64 << 10


@dataclass
class Fault:
    """What happens to one request for a file's bytes; the others are answered well."""

    status: int | None = None
    code: str = ""
    retry_after: int = 0
    cut: int | None = None
    reset: bool = False
    stall: bool = False
    flip: int | None = None
    length: int | None = None
    html: bool = False
    ignore_range: bool = False
    etag: str | None = None


@dataclass
class Repo:
    """A model repository: its files at one commit."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    gated: bool | str = False
    readable: bool = True
    small: frozenset[str] = frozenset()


@dataclass
class Sent:
    """One request as it came, and how many bytes of the body were sent."""

    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class FakeHub:
    """Repositories, faults (one is used up by each GET of a file) and a log of requests."""

    endpoint: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    cdn: FakeHub | None = None
    log: list[Sent] = field(default_factory=list)
    listing_status: int | None = None
    listing_body: bytes | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event | None = None

    def add(self, repo: str, **files: bytes) -> Repo:
        """Publish `files` (name_gguf means name.gguf)."""
        found = Repo({name.replace("_gguf", ".gguf"): data for name, data in files.items()})
        self.repos[repo] = found
        return found

    def fail(self, name: str, *faults: Fault) -> None:
        """Let the next requests for the file `name` fail, in order."""
        self.faults.setdefault(name, deque()).extend(faults)

    @property
    def fetched(self) -> int:
        """Bytes of file bodies that were sent."""
        return sum(request.sent for request in self.log)

    def gets(self, name: str) -> list[Sent]:
        """Requests for the bytes of the file `name`."""
        return [
            one for one in self.log if one.method == "GET" and one.path.endswith(f"/{name}") and "/api/" not in one.path
        ]


@contextmanager
def serve(*, cdn: bool = False) -> Iterator[FakeHub]:
    """Run a hub; with `cdn`, file bytes come from a second origin that the first one redirects to."""
    hub = FakeHub()
    with _server(hub):
        if not cdn:
            yield hub
            return
        hub.cdn = FakeHub(repos=hub.repos, faults=hub.faults)
        with _server(hub.cdn):
            yield hub


@contextmanager
def _server(hub: FakeHub) -> Iterator[None]:
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        hub.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what is tested here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.record = Sent(self.command, path, {key.lower(): value for key, value in self.headers.items()})
        self.hub.log.append(self.record)
        try:
            listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
            file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            if listing:
                self._listing(listing[1], listing[2] or "main")
            elif file:
                self._file(file[1], file[2], file[3])
            else:
                self._send(404, b"{}", {})
        except OSError:
            self.close_connection = True

    def _listing(self, name: str, revision: str) -> None:
        repo = self.hub.repos.get(name)
        if self.hub.listing_status or self.hub.listing_body is not None:
            self._send(self.hub.listing_status or 200, self.hub.listing_body or b"{}", {})
        elif repo is None:
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif revision not in ("main", repo.commit):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            siblings = [_sibling(file, data, small=file in repo.small) for file, data in repo.files.items()]
            info = {"id": name, "sha": repo.commit, "gated": repo.gated, "private": False, "siblings": siblings}
            self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        repo = self.hub.repos.get(name)
        if repo is None or file not in repo.files:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound" if repo is None else "EntryNotFound"})
            return
        if not repo.readable:
            self._send(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this repo is restricted"})
            return
        data = repo.files[file]
        digest = hashlib.sha256(data).hexdigest() if len(data) < 1 << 20 else str(len(data))
        if self.hub.cdn is not None:
            headers = {"Location": f"{self.hub.cdn.endpoint}{self.path}", "X-Repo-Commit": repo.commit}
            self._send(302, b"", headers | {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))})
            return
        if self.hub.gate is not None:
            self.hub.gate.wait(20)
        queue = self.hub.faults.get(file)
        fault = queue.popleft() if queue and self.command == "GET" else Fault()
        self._bytes(data, digest, fault)

    def _bytes(self, data: bytes, digest: str, fault: Fault) -> None:
        if fault.status:
            headers = {"X-Error-Code": fault.code} if fault.code else {}
            headers |= {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
            self._send(fault.status, b"", headers)
            return
        if fault.html:
            self._send(200, b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"})
            return
        etag = f'"{fault.etag or digest}"'
        start, stop, status = 0, len(data), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        unchanged = self.headers.get("If-Range", etag) == etag
        if asked and not fault.ignore_range and unchanged:
            start, stop, status = int(asked[1]), min(len(data), int(asked[2]) + 1 if asked[2] else len(data)), 206
            if start >= len(data):
                self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(fault.length if fault.length is not None else stop - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self._body(data, start, stop, fault)

    def _body(self, data: bytes, start: int, stop: int, fault: Fault) -> None:
        end = stop if fault.cut is None else min(stop, start + fault.cut)
        for at in range(start, end, CHUNK):
            part = data[at : min(at + CHUNK, end)]
            if fault.flip is not None and at <= fault.flip < at + len(part):
                spot = fault.flip - at
                part = part[:spot] + bytes([part[spot] ^ 1]) + part[spot + 1 :]
            self.wfile.write(part)
            self.record.sent += len(part)
        if fault.stall:
            self.hub.hold.wait(20)
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if end < stop or fault.reset or fault.length is not None:
            self.close_connection = True
            self.connection.close() if fault.reset else self.connection.shutdown(socket.SHUT_WR)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _sibling(name: str, data: bytes, *, small: bool) -> dict[str, object]:
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": oid}
    if not small:
        found["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return found
