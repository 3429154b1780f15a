"""The page at / in headless Chromium, driven over its debugging pipe; and what it may load."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fclocal.functions import from_openai
from fclocal.tools.toolset import Tool
from tests.server.conftest import WEATHER, Running, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Chromium's debugging protocol over pipes 3 and 4: messages of JSON that end with a zero byte."""

    def __init__(self, profile: Path) -> None:
        (to_read, self._write), (self._read, to_write) = os.pipe(), os.pipe()

        def arrange() -> None:
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        words = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            [*words, f"--user-data-dir={profile}", "--no-first-run", "--disable-dev-shm-usage", "about:blank"],
            preexec_fn=arrange,  # the pipes must be 3 and 4 in the child
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._received = b""
        self._number = 0
        self.problems: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable", session=self._session)

    def ask(self, method: str, *, session: str | None = None, **params: object) -> dict[str, object]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        os.write(self._write, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]  # type: ignore[no-any-return]
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                said = json.dumps(answer["params"])
                self.problems += [] if '"level": "verbose"' in said else [said]

    def run(self, script: str) -> object:
        """The value of an expression in the page; promises are awaited."""
        done = self.ask(
            "Runtime.evaluate", session=self._session, expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")  # type: ignore[attr-defined]

    def open(self, url: str) -> None:
        self.ask("Page.navigate", session=self._session, url=url)

    def wait_for(self, condition: str) -> object:
        """Wait in the page until an expression is true."""
        rest = "await new Promise((done) => setTimeout(done, 20));"
        loop = f"for (let i = 0; i < 500; i++) {{ const v = ({condition}); if (v) return v; {rest} }}"
        return self.run(f"(async () => {{ {loop} return null; }})()")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._read)
        os.close(self._write)

    def _next(self) -> dict[str, object]:
        while b"\0" not in self._received:
            part = os.read(self._read, 1 << 16)
            assert part, "chromium ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def shown(homes: Path) -> Iterator[Running]:
    tool = Tool(from_openai(WEATHER, origin="test"), "my/functions.json", "propose")
    with running(tools=(tool,), key="sesam") as started:
        yield started


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    if os.name != "posix":
        pytest.skip("the debugging pipe needs file descriptors 3 and 4")
    made = Browser(tmp_path / "profile")
    yield made
    made.close()


def test_a_person_can_try_a_call_and_see_its_receipt(browser: Browser, shown: Running) -> None:
    browser.open(f"{shown.url}/")
    assert browser.wait_for("document.getElementById('key-row')?.hidden === false")
    browser.run("document.getElementById('key').value = 'sesam'")
    browser.run("document.getElementById('key').dispatchEvent(new Event('change'))")
    assert browser.wait_for("document.getElementById('tools').value.includes('get_weather')")
    assert "starter" in str(browser.run("document.getElementById('state').textContent"))
    assert "get_weather" in str(browser.run("document.getElementById('functions').textContent"))
    assert "my/" not in str(browser.run("document.body.textContent"))
    browser.run("document.getElementById('prompt').value = 'What is the weather in Paris?'")
    browser.run("document.getElementById('choice').value = 'required'")
    browser.run("document.getElementById('send').click()")
    called = str(browser.wait_for("document.querySelector('#answer .call')?.textContent"))
    assert re.match(r'get_weather\(\{"city"', called)
    receipt = str(browser.run("document.querySelector('#answer .receipt').textContent"))
    assert "grammarfull" in receipt and "validtrue" in receipt and "argument city" in receipt
    assert [problem for problem in browser.problems if "401" not in problem] == []


def test_the_page_shows_what_goes_wrong_as_text(browser: Browser, served: Running) -> None:
    browser.open(f"{served.url}/")
    assert browser.wait_for("document.getElementById('model')?.options.length")
    browser.run("document.getElementById('tools').value = '[{\"type\": \"<img src=x onerror=alert(1)>\"}]'")
    browser.run("document.getElementById('send').click()")
    assert "<img" in str(browser.wait_for("document.querySelector('#answer .bad')?.textContent"))
    assert browser.run("document.querySelectorAll('#answer img').length") == 0


def test_the_page_loads_nothing_from_elsewhere(served: Running) -> None:
    answer = requests.get(f"{served.url}/", timeout=20)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", answer.text)
