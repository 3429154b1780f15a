"""Whether the Hub can be reached, decided in under two seconds. Imports no Hub client."""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from fclocal.errors import NetworkError, UsageError

PATIENCE: Final = 1.2
_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def hub_endpoint() -> str:
    """HF_ENDPOINT, else https://huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def offline_wanted() -> bool:
    """Whether HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) says to stay off the network."""
    wanted = (os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or "").lower()
    return wanted in ("1", "true", "yes", "on")


def refuse_offline(endpoint: str | None = None, *, patience: float = PATIENCE) -> None:
    """Raise NetworkError when the user wants no network or nothing answers within `patience` seconds.

    A proxy from the environment is asked in place of the Hub.
    """
    if offline_wanted():
        raise NetworkError("HF_HUB_OFFLINE is set, so nothing is downloaded.", "Installed models work: fclocal list")
    scheme, host, port = _address(endpoint or hub_endpoint(), "HF_ENDPOINT")
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(host):
        _, host, port = _address(proxy if "://" in proxy else f"http://{proxy}", f"The proxy for {scheme}")
    reason = _connect(host, port, patience)
    if reason:
        cure = "Check the network. Installed models work without it: fclocal list"
        raise NetworkError(f"{host}:{port} cannot be reached: {reason}.", cure)


def _address(text: str, what: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an address. Raises UsageError when it is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise UsageError(f"{what} is not an address: {text[:120]!r}.", "It should look like https://huggingface.co.")
    return parts.scheme, host, port or _PORTS.get(parts.scheme, 443)


def _connect(host: str, port: int, patience: float) -> str | None:
    """Why no connection could be made, or None. In a thread, since looking a name up has no time limit of its own."""
    outcome: list[str | None] = []

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=patience).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(error.strerror or str(error) or type(error).__name__)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(patience)
    return outcome[0] if outcome else f"no answer in {patience:g} s"
