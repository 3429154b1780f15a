"""Which wheels an index has, asked over real HTTP."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.tags import Tag

from fclocal.builds.wheels import WheelIndex, fits

TAGS = frozenset({Tag("py3", "none", "manylinux_2_17_x86_64"), Tag("py3", "none", "any")})
NAME = "llama_cpp_python-0.3.36-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"


@pytest.mark.parametrize(
    ("link", "fitting"),
    [
        (NAME, True),
        (f"../../files/{NAME}#sha256=00", True),
        (f"https://host/a%2Bb/{NAME}?x=1&amp;y=2", True),
        (NAME.replace("0.3.36", "0.3.36+cu124"), True),
        (NAME.replace("0.3.36", "0.3.4"), False),
        (NAME.replace("py3", "cp312"), False),
        (NAME.replace("x86_64", "aarch64"), False),
        ("llama_cpp_python-0.3.36-py3-none-win_amd64.whl", False),
        ("llama_cpp_python-0.3.36.tar.gz", False),
        ("nonsense.whl", False),
    ],
)
def test_fits(link: str, fitting: bool) -> None:
    assert fits(link, "0.3.36", TAGS) is fitting


def test_musl_takes_no_wheel_of_glibc() -> None:
    musl = frozenset({Tag("py3", "none", "musllinux_1_2_x86_64")})
    assert not fits(NAME, "0.3.36", musl)
    assert fits("llama_cpp_python-0.3.36-py3-none-musllinux_1_2_x86_64.whl", "0.3.36", musl)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "site/cu124/llama-cpp-python"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f"<!DOCTYPE html><a class='x' href='{NAME}'>{NAME}</a>")

    def handler(*arguments: object) -> Quiet:
        return Quiet(*arguments, directory=str(tmp_path / "site"))  # type: ignore[arg-type]  # what the server passes

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_index_has_what_its_page_lists(site: str) -> None:
    index = WheelIndex("0.3.36", address=site, tags=TAGS)
    assert index.has("cu124") and not index.has("cu130")
    assert index.fault == "" and index.url("cu124") == f"{site}/cu124"
    assert not WheelIndex("0.3.37", address=site, tags=TAGS).has("cu124")


def test_an_index_that_does_not_answer_is_a_fault_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    index = WheelIndex("0.3.36", address="http://127.0.0.1:9", tags=TAGS)
    assert not index.has("cu124") and index.fault
    monkeypatch.setattr("urllib.request.urlopen", None)
    assert not index.has("cu130")


def test_the_environment_may_name_another_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCLOCAL_WHEELS", "https://mirror.example/whl/")
    assert WheelIndex("1").url("cpu") == "https://mirror.example/whl/cpu"
    monkeypatch.setenv("FCLOCAL_WHEELS", "file:///etc")
    index = WheelIndex("1")
    assert not index.has("cpu") and "FCLOCAL_WHEELS" in index.fault
