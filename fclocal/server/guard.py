"""The outermost layer: who may talk to the endpoint and how much. Knows HTTP headers, not what is asked.

Every route passes through it: Host and Origin (a web page must not reach a local model by DNS rebinding), the key,
the content type, the size of the body. Bodies are read here, whole, so that no route sees half of one.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fclocal.chat.receipt import plain
from fclocal.functions import Json
from fclocal.server.failures import ClientGone, Failure, Rejected, body_of, wire_of
from fclocal.server.settings import Settings
from fclocal.server.streams import CLOSING

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# The page holds no data and asks for the key itself; /health says nothing but that the server lives.
OPEN_PATHS = ("/", "/health")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Guard:
    """Refuses what must not come in, else hands the request on with its body read."""

    def __init__(self, app: ASGIApp, settings: Settings, closing: asyncio.Event) -> None:
        self._app = app
        self._closing = closing
        self._settings = settings
        self._key = settings.key.encode() if settings.key else None
        self._hosts = allowed_hosts(settings.host, settings.port)
        self._any_address = settings.host in ("0.0.0.0", "::", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refused = self._stranger(scope["method"], scope["path"], headers)
        try:
            body = await self._read(headers, receive, refused)
        except Rejected as rejected:
            await refusal(rejected.failure, scope["path"])(scope, receive, send)
        except ClientGone:
            return
        else:
            with suppress(ClientGone):
                await self._app(scope, _replay(body, receive, self._closing), self._patient(send))

    def _stranger(self, method: str, path: str, headers: Headers) -> Failure | None:
        """Why this request is not answered, whatever it holds."""
        if not self._knows(headers.get("host", "")):
            return Failure(421, "This Host is not answered here; use 127.0.0.1 or localhost.", code="wrong_host")
        if self._is_foreign(headers):
            return Failure(403, "Web pages of other origins are not answered.", code="wrong_origin")
        if self._key and path not in OPEN_PATHS and not self._has_key(headers):
            challenge = {"WWW-Authenticate": "Bearer"}
            return Failure(401, "A valid API key is needed.", code="invalid_api_key", headers=challenge)
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return Failure(415, "The body must be JSON: Content-Type: application/json.")
        return None

    def _is_foreign(self, headers: Headers) -> bool:
        """Whether a web page of another origin asks."""
        for origin in headers.getlist("origin"):
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not self._knows(host):
                return True
        return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"

    def _knows(self, host: str) -> bool:
        if host.lower() in self._hosts:
            return True
        return self._any_address and _is_address(host, self._settings.port)

    def _has_key(self, headers: Headers) -> bool:
        assert self._key
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer.strip()] if scheme.lower() == "bearer" else []
        given.append(headers.get("x-api-key", ""))
        return any(hmac.compare_digest(key.encode("utf-8", "replace"), self._key) for key in given)

    async def _read(self, headers: Headers, receive: Receive, refused: Failure | None) -> bytes:
        """The whole body. One that is refused is read to its end and forgotten, because many clients look at the
        answer only then; a client that asks first is told at once."""
        limit = self._settings.limits.body
        stated = headers.get("content-length", "0")
        if stated.isdecimal() and int(stated[:20]) > limit:
            refused = refused or _too_large(limit)
        if refused and "100-continue" in headers.get("expect", "").lower():
            raise Rejected(replace(refused, headers={**refused.headers, "Connection": "close"}))
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part, more = message.get("body", b""), message.get("more_body", False)
            if len(body) + len(part) > limit:
                refused = refused or _too_large(limit)
            if refused:
                body.clear()
            else:
                body += part
        if refused:
            raise Rejected(refused)
        return _whole_text(bytes(body))

    def _patient(self, send: Send) -> Send:
        """`send`, for as long as a client that does not read may hold a reply up."""

        async def send_soon(message: Message) -> None:
            try:
                async with asyncio.timeout(self._settings.limits.write):
                    await send(message)
            except TimeoutError:
                raise ClientGone from None

        return send_soon


def allowed_hosts(host: str, port: int) -> frozenset[str]:
    """Values of the Host header that are answered: loopback names and the address that is bound, with the port."""
    bound = f"[{host}]" if ":" in host else host
    names = [*LOOPBACK, bound.lower()]
    plain_names = names if port == 80 else []
    return frozenset([*(f"{name}:{port}" for name in names), *plain_names])


def refusal(failure: Failure, path: str) -> JSONResponse:
    """A refusal as the API of `path` writes it."""
    return JSONResponse(plain(body_of(failure, wire_of(path))), failure.status, headers=dict(failure.headers))


def _is_address(host: str, port: int) -> bool:
    """Whether `host` is a literal IP address with our port: a name can be rebound, an address cannot."""
    name, _, given = host.rpartition(":")
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return given == str(port)


def _too_large(limit: int) -> Failure:
    return Failure(413, f"The body is larger than {limit >> 20} MB.", code="request_too_large")


def _whole_text(body: bytes) -> bytes:
    """The body with lone surrogates, which no encoder takes, as U+FFFD."""
    if not _LONE_SURROGATE.search(body):
        return body
    try:
        value: Json = json.loads(body)
        return json.dumps(_repaired(value)).encode()
    except (ValueError, RecursionError):
        return body


def _repaired(value: Json) -> Json:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case Mapping():
            return {str(_repaired(key)): _repaired(item) for key, item in value.items()}
        case list():
            return _all_repaired(value)
        case _:
            return value


def _all_repaired(values: Iterable[Json]) -> list[Json]:
    return [_repaired(value) for value in values]


def _replay(body: bytes, receive: Receive, closing: asyncio.Event) -> Receive:
    """A `receive` that gives the body once, and then what comes after it: that the client went away, or that the server
    closes."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        gone = asyncio.ensure_future(receive())
        closes = asyncio.ensure_future(closing.wait())
        try:
            await asyncio.wait({gone, closes}, return_when=asyncio.FIRST_COMPLETED)
            return gone.result() if gone.done() else {"type": CLOSING}
        finally:
            gone.cancel()
            closes.cancel()

    return replayed


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
