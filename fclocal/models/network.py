"""Whether the Hub can be reached, decided in under two seconds. Imports no Hub client."""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from fclocal.errors import NetworkError

PATIENCE: Final = 1.2
_PORTS: Final = {"http": 80, "https": 443}


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
    address = urlsplit(endpoint or hub_endpoint())
    host, port = address.hostname or "", address.port or _PORTS.get(address.scheme, 443)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(host):
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = address.hostname or "", address.port or _PORTS.get(address.scheme, 8080)
    reason = _connect(host, port, patience)
    if reason:
        cure = "Check the network. Installed models work without it: fclocal list"
        raise NetworkError(f"{host}:{port} cannot be reached: {reason}.", cure)


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
