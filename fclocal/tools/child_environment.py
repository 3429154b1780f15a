"""Which environment variables the processes of Python files get: an allow-list, so that keys and tokens stay here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

_ALLOWED: Final = (
    *("HOME", "LOGNAME", "USER", "SHELL", "PATH", "PWD", "TERM", "COLORTERM", "NO_COLOR", "DISPLAY", "WAYLAND_DISPLAY"),
    *("LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TMP", "TEMP", "XDG_*", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHON*"),
    *("LD_LIBRARY_PATH", "DYLD_*", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("FCLOCAL_CONFIG", "FCLOCAL_DATA", "FCLOCAL_CACHE", "CUDA_VISIBLE_DEVICES"),
    # Windows
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "USERNAME", "HOMEDRIVE", "HOMEPATH"),
    *("APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES*", "COMMONPROGRAMFILES*", "ALLUSERSPROFILE", "PUBLIC"),
    *("COMPUTERNAME", "NUMBER_OF_PROCESSORS", "PROCESSOR_*", "OS"),
)


def child_environment(more: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that a function may see. `more` are names, or patterns with `*`, that the user allows as well."""
    names = (*_ALLOWED, *more)
    return {key: value for key, value in environ.items() if any(fnmatchcase(key, name) for name in names)}


def withheld_in(sentence: str, passed: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> str:
    """What to do about withheld variables that a failure names, or empty."""
    named = [
        name
        for name in re.findall(r"\b[A-Za-z_][A-Za-z0-9_]{2,}\b", sentence)
        if name in environ and name not in passed
    ]
    if not named:
        return ""
    listed = ", ".join(f'"{name}"' for name in dict.fromkeys(named))
    return (
        f"Functions do not see every environment variable; to let them: [tools] environment = [{listed}] in config.toml"
    )
