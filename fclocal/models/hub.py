"""The Hugging Face Hub: listings, byte ranges and streams of files. The only importer of huggingface_hub.

The Hub client gives us the token, headers, addresses and its HTTP session; it neither resumes downloads nor checks
hashes, so that is done in download.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

# The client reports its environment once a day unless it is told not to, and it reads that at import.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import httpx2
from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # exported lazily
from pydantic import BaseModel, Field, ValidationError

from fclocal import __version__
from fclocal.errors import ModelMissing, NetworkError, Refused
from fclocal.models.network import hub_endpoint, offline_wanted
from fclocal.models.quants import RemoteFile
from fclocal.models.safe_names import check_file, check_repo, check_revision

_COMMIT: Final = r"^[0-9a-f]{40}$"
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class Interrupted(NetworkError):
    """The connection broke or the server asked for patience; `wait` is how many seconds it asked for."""

    def __init__(self, sentence: str, *, wait: float = 0.0) -> None:
        super().__init__(sentence, "Try again: what has arrived is kept.")
        self.wait = wait


class RangeRefused(NetworkError):
    """The server has no bytes where the download should go on (416)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository at one commit. `gated` says that reading them needs granted access."""

    repo: str
    commit: str
    gated: bool
    files: tuple[RemoteFile, ...]
    skipped: tuple[str, ...] = ()

    def file(self, name: str) -> RemoteFile | None:
        """The file called `name`."""
        return next((file for file in self.files if file.name == name), None)


@dataclass(frozen=True, slots=True)
class Body:
    """A file that is arriving: the first byte's position, the whole size if told, its ETag and its bytes."""

    start: int
    total: int | None
    etag: str | None
    chunks: Iterator[bytes]


class _Lfs(BaseModel):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class _Sibling(BaseModel):
    rfilename: str
    size: int | None = Field(default=None, ge=0)
    blob_id: str | None = Field(default=None, pattern=_COMMIT, alias="blobId")
    lfs: _Lfs | None = None


class _ModelInfo(BaseModel):
    sha: str = Field(pattern=_COMMIT)
    gated: bool | str = False
    siblings: tuple[_Sibling, ...] = ()


class Hub:
    """One Hub at `endpoint`. `timeout` in seconds is for connecting and for every silence while bytes arrive.

    The token comes from HF_TOKEN or the file that `hf auth login` writes, never from the command line. It is sent to
    the endpoint only: a redirect to another origin loses it.
    """

    def __init__(self, *, endpoint: str | None = None, timeout: float = 15.0) -> None:
        self.endpoint = (endpoint or hub_endpoint()).rstrip("/")
        self.timeout = timeout

    def listing(self, repo: str, revision: str = "main") -> Listing:
        """Every file of `repo` at `revision`, pinned to its commit; one request.

        Raises ModelMissing, Refused and NetworkError.
        """
        _checked(check_repo, repo), _checked(check_revision, revision)
        address = f"{self.endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
        response = self._get(address, params={"blobs": "true"})
        refuse(response, repo if revision == "main" else f"{repo}@{revision}")
        try:
            info = _ModelInfo.model_validate_json(response.content)
        except ValidationError as error:
            what = error.errors(include_url=False)[0]
            raise NetworkError(
                f"The Hub's answer about {repo} makes no sense: {'.'.join(map(str, what['loc']))}: {what['msg']}.",
                "Check that HF_ENDPOINT is a Hub, and that no login page stands before it.",
            ) from None
        return _listing(repo, info)

    def read(self, repo: str, commit: str, name: str, offset: int, size: int) -> bytes:
        """`size` bytes of a file from `offset`; fewer at its end. Raises like `listing`."""
        with self.stream(repo, commit, name, start=offset, stop=offset + size) as body:
            parts, left, ahead = [], size, offset - body.start
            for chunk in body.chunks:
                chunk, ahead = chunk[ahead:], max(0, ahead - len(chunk))
                parts.append(chunk[:left])
                left -= len(parts[-1])
                if left <= 0:
                    break
        return b"".join(parts)

    @contextmanager
    def stream(
        self, repo: str, commit: str, name: str, *, start: int = 0, stop: int | None = None, etag: str | None = None
    ) -> Iterator[Body]:
        """Bytes of a file from `start`; from 0 when the server does no ranges or the file is not `etag` any more.

        Raises Interrupted for what may be tried again, RangeRefused, ModelMissing, Refused and NetworkError.
        """
        headers = self._headers() | {"Accept-Encoding": "identity"}
        if start or stop:
            headers["Range"] = f"bytes={start}-{stop - 1 if stop else ''}"
            if etag and not etag.startswith("W/"):
                headers["If-Range"] = etag
        address = hf_hub_url(repo, name, revision=commit, endpoint=self.endpoint)
        try:
            request = get_session().stream("GET", address, headers=headers, timeout=self._patience())
            with request as response:
                refuse(response, f"{repo}/{name}")
                yield _body(response, name)
        except httpx2.HTTPError as error:
            raise Interrupted(f"The connection broke while {name} was arriving ({_reason(error)}).") from None

    def _get(self, address: str, *, params: dict[str, str]) -> httpx2.Response:
        if offline_wanted() or constants.HF_HUB_OFFLINE:
            raise NetworkError(
                "HF_HUB_OFFLINE is set, so nothing is downloaded.", "Installed models work: fclocal list"
            )
        try:
            return get_session().get(address, params=params, headers=self._headers(), timeout=self._patience())
        except httpx2.HTTPError as error:
            host = self.endpoint.partition("://")[2]
            raise NetworkError(
                f"{host} did not answer: {_reason(error)}.", "Check the network and try again."
            ) from None

    def _headers(self) -> dict[str, str]:
        return dict(build_hf_headers(library_name="fclocal", library_version=__version__))

    def _patience(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.timeout, connect=min(self.timeout, 10.0))


def refuse(response: httpx2.Response, what: str) -> None:
    """Raise the error that the status and the Hub's own headers stand for; return for a success."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if status < 400:
        return
    said = response.headers.get("X-Error-Message", "")[:200]
    if code == "GatedRepo":
        raise Refused(f"{what} is gated: {said or 'access must be asked for'}.", "Ask for access on its page.")
    if code == "RevisionNotFound":
        raise ModelMissing(f"There is no such branch, tag or commit: {what}.", "Look at its page on the Hub.")
    if code == "EntryNotFound":
        raise ModelMissing(f"There is no such file: {what}.", "Look at its page on the Hub.")
    if status == 401 and code != "RepoNotFound" and "credentials" in said.lower():
        raise Refused("The Hub does not accept the token.", "Correct HF_TOKEN or run: hf auth login")
    if code == "RepoNotFound" or status in (401, 404):
        raise ModelMissing(
            f"The Hub has no {what}, or it is private.", "Check the spelling; for a private one set HF_TOKEN."
        )
    if status == 403:
        raise Refused(f"Access to {what} is denied{f': {said}' if said else ''}.", "Check the token's rights.")
    if status == 416:
        raise RangeRefused(f"The server has no such bytes of {what}.")
    if status in _RETRIED:
        raise Interrupted(f"The Hub answered {status} for {what}.", wait=_wait(response))
    raise NetworkError(f"The Hub answered {status} for {what}{f': {said}' if said else ''}.")


def _listing(repo: str, info: _ModelInfo) -> Listing:
    files: list[RemoteFile] = []
    skipped: list[str] = []
    for sibling in info.siblings:
        try:
            name = check_file(sibling.rfilename)
        except ValueError:
            skipped.append(sibling.rfilename[:80])
            continue
        size = sibling.lfs.size if sibling.lfs else sibling.size or 0
        files.append(RemoteFile(name, size, sibling.lfs.sha256 if sibling.lfs else None, sibling.blob_id))
    return Listing(repo, info.sha, bool(info.gated), tuple(files), tuple(skipped))


def _body(response: httpx2.Response, name: str) -> Body:
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not name.endswith((".html", ".htm")):
        raise NetworkError(
            f"A web page came in place of {name}.", "Open a browser: a login page of this network may stand in between."
        )
    etag = response.headers.get("ETag")
    total = _number(response.headers.get("Content-Length"))
    if response.status_code != 206:
        return Body(0, total, etag, response.iter_raw())
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not match:
        raise NetworkError(f"The server's answer for a part of {name} makes no sense.", "Try again later.")
    return Body(int(match[1]), _number(match[2]), etag, response.iter_raw())


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None


def _wait(response: httpx2.Response) -> float:
    return float(min(_number(response.headers.get("Retry-After")) or 0, 60))


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no bytes for too long"
    return str(error).rstrip(".")[:200] or type(error).__name__


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise ModelMissing(f"{error}.") from None
