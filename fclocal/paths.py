"""Where files live on this machine. Creates nothing but what `private_folder` is asked for."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import platformdirs

from fclocal.errors import DiskError

APP = "fclocal"


def config_folder() -> Path:
    """Settings: config.toml, mcp.json, the user's own models.toml. `FCLOCAL_CONFIG` overrides it."""
    return Path(os.environ.get("FCLOCAL_CONFIG") or platformdirs.user_config_dir(APP, appauthor=False))


def data_folder() -> Path:
    """Sessions, the model index, converted models. `FCLOCAL_DATA` overrides it."""
    return Path(os.environ.get("FCLOCAL_DATA") or platformdirs.user_data_dir(APP, appauthor=False))


def cache_folder() -> Path:
    """KV states and other things that can be made again. `FCLOCAL_CACHE` overrides it."""
    return Path(os.environ.get("FCLOCAL_CACHE") or platformdirs.user_cache_dir(APP, appauthor=False))


def log_file() -> Path:
    """Where llama.cpp's log goes."""
    return cache_folder() / "llama.log"


def package_file(name: str) -> Path:
    """A file that ships inside the package, for example `models/starter/starter.gguf`."""
    return Path(str(resources.files("fclocal").joinpath(name)))


def catalog_file() -> Path:
    """The shipped models.toml: inside the package when installed from a wheel, else at the top of the checkout."""
    installed = package_file("models.toml")
    return installed if installed.exists() else installed.parent.parent / "models.toml"


def private_folder(folder: Path) -> Path:
    """Make `folder` (mode 0700) and return it. Raises DiskError when that cannot be done."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(
            f"Cannot make the folder {folder}: {error.strerror}.", "Check its owner and free space."
        ) from None
    return folder
