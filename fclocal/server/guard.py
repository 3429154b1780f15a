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

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fclocal.chat.receipt import plain
from fclocal.functions import Json
from fclocal.server.failures import ClientGone, Failure, Rejected, body_of, wire_of
from fclocal.server.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# The page holds no data and asks for the key itself; /health says nothing but that the server lives.
OPEN_PATHS = ("/", "/health")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Guard:
    """Refuses what must not come in, else hands the request on with its body read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
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
        try:
            headers = Headers(scope=scope)
            self._refuse_stranger(scope["method"], scope["path"], headers)
            body = await self._read(headers, receive)
        except Rejected as rejected:
            await refusal(rejected.failure, scope["path"])(scope, receive, send)
            return
        except ClientGone:
            return
        with suppress(ClientGone):
            await self._app(scope, _replay(body, receive), self._patient(send))

    def _refuse_stranger(self, method: str, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._knows(host):
            raise Rejected(
                Failure(421, "This Host is not answered here; use 127.0.0.1 or localhost.", code="wrong_host")
            )
        for origin in headers.getlist("origin"):
            scheme, _, origin_host = origin.partition("://")
            if scheme not in ("http", "https") or not self._knows(origin_host):
                raise Rejected(Failure(403, "Web pages of other origins are not answered.", code="wrong_origin"))
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            raise Rejected(Failure(403, "Web pages of other origins are not answered.", code="wrong_origin"))
        if self._key and path not in OPEN_PATHS and not self._has_key(headers):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise Rejected(Failure(401, "A valid API key is needed.", code="invalid_api_key", headers=challenge))
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Rejected(Failure(415, "The body must be JSON: Content-Type: application/json."))

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

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body. One that is too large is read to its end and forgotten, because many clients look at the
        answer only then."""
        limit = self._settings.limits.body
        stated = headers.get("content-length", "0")
        large = stated.isdecimal() and int(stated) > limit
        if large and "100-continue" in headers.get("expect", "").lower():
            raise Rejected(_too_large(limit))
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            large = large or len(body) + len(message.get("body", b"")) > limit
            if large:
                body.clear()
            else:
                body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        if large:
            raise Rejected(_too_large(limit))
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
    """A refusal as the API of `path` writes it. The connection ends where the body was not read."""
    headers: Mapping[str, str] = {**failure.headers, **({"Connection": "close"} if failure.status == 413 else {})}
    return JSONResponse(plain(body_of(failure, wire_of(path))), failure.status, headers=dict(headers))


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


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once and then what comes after it: that the client went away."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
