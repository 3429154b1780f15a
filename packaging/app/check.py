"""Try the tarball where there is nothing: an empty root with a C library, zlib and a shell, no network, an old CPU.

`python check.py`, as root on Linux with tmux; the old CPU needs qemu-user-static. Everything runs in namespaces of its
own, so that mounts and processes go with it. Prints what was seen and how long it took.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pack
from pack import source

QUESTION, ANSWER = "What is 12 * (3 + 4)?", "12 * (3 + 4) = 84"
BODY = {"model": "starter", "messages": [{"role": "user", "content": QUESTION}]}
PORT = 18080
# Of the C library, what a frozen program may open beside libc itself; and zlib, which its starter needs.
LIBC = (
    "libz.so.1",
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
)
OLD_CPU, OLD_VARIANT = "Nehalem", "libggml-cpu-sse42.so"
CHROOT = shutil.which("chroot") or "chroot"
OWN = '''import sqlite3
import wave
import xml.dom.minidom


def twice(n: int) -> int:
    """Double a number.

    Args:
        n: The number.
    """
    return 2 * n
'''
HOME = {"HOME": "/home", "PATH": "/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8"}


def main() -> None:
    if os.environ.get("FCLOCAL_ALONE") != "1":
        words = [
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            sys.executable,
            *sys.argv,
        ]
        os.execvpe("unshare", words, {**os.environ, "FCLOCAL_ALONE": "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        fill(root)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        try:
            checks(root)
        finally:
            subprocess.run(["umount", str(root / "proc")], check=True)


def checks(root: Path) -> None:
    """Every check in turn; the first that fails ends the program."""
    print("root holds:", " ".join(sorted(str(path.relative_to(root)) for path in files(root))))
    with tarfile.open(pack.tarball()) as packed:
        packed.extractall(root, filter="tar")
    say("help", lambda: one(root, "--help", shows="Usage: fclocal"))
    say("chat, first", lambda: one(root, "chat", QUESTION, shows=ANSWER))
    say("chat, second", lambda: one(root, "chat", QUESTION, shows=ANSWER))
    say("doctor", lambda: one(root, "doctor", "--json", shows="llama"))
    say("functions of a Python file", lambda: python_file(root))
    say("terminal app", lambda: terminal_app(root))
    say("serve", lambda: serve(root))
    if qemu := shutil.which("qemu-x86_64-static"):
        say(f"llama.cpp on a {OLD_CPU}", lambda: old_cpu(qemu, root))
    else:
        print("old CPU: not tried, there is no qemu-x86_64-static")


def fill(root: Path) -> None:
    """An empty root with a shell and its libraries."""
    for name in ("bin", "proc", "tmp", "home", "lib64", "lib/x86_64-linux-gnu"):
        (root / name).mkdir(parents=True)
    (root / "dev").mkdir()
    for name, numbers in {"null": (1, 3), "urandom": (1, 9), "tty": (5, 0)}.items():
        os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
    shutil.copy("/bin/dash", root / "bin/sh")
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
    for name in LIBC:
        shutil.copy(Path("/lib/x86_64-linux-gnu") / name, root / "lib/x86_64-linux-gnu")


def files(root: Path) -> list[Path]:
    """What is in the root, without /proc."""
    return [path for path in root.rglob("*") if path.is_file() and root / "proc" not in path.parents]


def say(what: str, check: Callable[[], str]) -> None:
    """Run a check and print its time and what it saw."""
    begun = time.monotonic()
    try:
        seen = check()
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"{what}: FAILED\n{error}")
    print(f"{what}: {time.monotonic() - begun:.1f} s, {seen}", flush=True)


def inside(root: Path, *words: str) -> list[str]:
    """A command line of the app in the root."""
    return [CHROOT, str(root), "/fclocal/fclocal", *words]


def one(root: Path, *words: str, shows: str) -> str:
    """Run a command in the root; its stdout must show a text."""
    done = subprocess.run(inside(root, *words), env=HOME, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and shows in done.stdout, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return repr(done.stdout.strip().splitlines()[0][:60])


def python_file(root: Path) -> str:
    """Functions of the user's own run in a process of the app, with any of the standard library."""
    (root / "home/own.py").write_text(OWN, encoding="utf-8")
    return one(root, "tools", "run", "twice", '{"n": 21}', "--tools", "/home/own.py", shows="42")


def terminal_app(root: Path) -> str:
    """Ask in the terminal app, in a tmux of its own."""
    tmux = ["tmux", "-L", f"fclocal-check-{os.getpid()}", "-f", "/dev/null"]
    size = ["-x", "100", "-y", "30"]
    variables = [word for pair in HOME.items() for word in ("-e", "=".join(pair))]
    subprocess.run([*tmux, "new-session", "-d", *size, *variables, *inside(root)], check=True)
    try:
        screen(tmux, "starter")
        subprocess.run([*tmux, "send-keys", "-l", QUESTION], check=True)
        screen(tmux, QUESTION)
        subprocess.run([*tmux, "send-keys", "Enter"], check=True)
        return repr(next(line.strip() for line in screen(tmux, ANSWER).splitlines() if ANSWER in line)[:60])
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def screen(tmux: list[str], text: str) -> str:
    """The screen once it shows `text`."""
    shown = ""
    for _ in range(600):
        shown = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
        if text in shown:
            return shown
        time.sleep(0.2)
    raise AssertionError(f"never shown: {text}\n{shown}")


def serve(root: Path) -> str:
    """Ask as an OpenAI client does."""
    served = subprocess.Popen(inside(root, "serve", "--port", str(PORT)), env=HOME, stderr=subprocess.DEVNULL)
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{PORT}/v1/chat/completions",
            json.dumps(BODY).encode(),
            {"Content-Type": "application/json"},
        )
        for _ in range(300):
            try:
                with urllib.request.urlopen(request, timeout=120) as reply:
                    message = json.load(reply)["choices"][0]["message"]
                    break
            except urllib.error.URLError as error:
                assert served.poll() is None and not isinstance(error, urllib.error.HTTPError), error
                time.sleep(0.2)
        else:
            raise AssertionError("serve did not answer")
        return json.dumps(message)[:110]
    finally:
        served.terminate()
        served.wait(30)


def old_cpu(qemu: str, root: Path) -> str:
    """Compute a token on an emulated CPU; a whole answer would take it minutes. The variables stand for what the app's
    first process leaves to its second: otherwise that one would be started anew, on the real CPU."""
    app = root / "fclocal"
    frozen = {
        "_PYI_ARCHIVE_FILE": str(app / "fclocal"),
        "_PYI_APPLICATION_HOME_DIR": str(app / "_internal"),
        "_PYI_PARENT_PROCESS_LEVEL": "0",
        "LD_LIBRARY_PATH": str(app / "_internal"),
    }
    home = HOME | {"HOME": str(root / "home")}
    words = [qemu, "-cpu", OLD_CPU, str(app / "fclocal"), "-m", "fclocal.builds.trial"]
    done = subprocess.run(words, env=home | frozen, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0 and '"computed": true' in done.stdout, (
        f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    log = (root / "home/.cache/fclocal/llama.log").read_text(encoding="utf-8").splitlines()
    loaded = Path([line for line in log if "loaded CPU backend" in line][-1]).name
    assert loaded == OLD_VARIANT, loaded
    return f"computed with {loaded}"


if __name__ == "__main__":
    try:
        main()
    except source.Refused as refusal:
        sys.exit(str(refusal))
