"""Fetch chosen files of a repository into the cache: checkpoints and adapters, which are no GGUF models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fclocal.errors import ModelMissing
from fclocal.models import cache
from fclocal.models.download import Fetch, fetch, left_over, place, require_space
from fclocal.models.hub import Hub
from fclocal.models.progress import Report
from fclocal.models.store import Store


def fetch_snapshot(
    repo: str, *, wanted: Callable[[str], bool], store: Store, hub: Hub, report: Report, revision: str = "main"
) -> Path:
    """Download every file of `repo` whose name is `wanted`, verified, and give the folder that holds them.

    Nothing is fetched twice, and an interrupted call goes on where it stopped. Raises ModelMissing when no file is
    wanted, Refused, NetworkError, ModelBroken and DiskError.
    """
    listing = hub.listing(repo, revision)
    files = [file for file in listing.files if wanted(file.name)]
    if not files:
        raise ModelMissing(f"{repo} holds none of the files that are needed.", "Look at its page on the Hub.")
    folder = cache.repo_folder(repo, root=store.root)
    there = {file.name: (folder.blobs / (file.sha256 or file.oid or "-")).exists() for file in files}
    missing = sum(file.size - left_over(folder, file) for file in files if not there[file.name])
    require_space(folder.path, max(0, missing), what=repo)
    for file in files:
        job = Fetch(
            hub, folder, listing.commit, file, report, trusted=lambda path, digest: store.known_sha256(path) == digest
        )
        blob = fetch(job)
        if file.sha256:
            store.mark_verified(blob, file.sha256)
        place(folder, listing.commit, file.name, blob, revision=revision)
    return folder.snapshot(listing.commit)
