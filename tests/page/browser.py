"""A Chromium, driven by WebDriver (W3C): what the tests of the page need of it, over the driver's own HTTP."""

from __future__ import annotations

import base64
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.processes import Kept, free_port

DRIVER, BROWSER = "chromedriver", "chromium"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE_S = 120.0
# Keys, by the code points that WebDriver has for them.
TAB, HOME = "\ue004", "\ue011"
# axe-core 4.14.1, from its npm package (Mozilla Public License 2.0).
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDE, NARROW = 1440, 390
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


class StaleElement(AssertionError):
    """The page was drawn again between the look for an element and its use."""


class Browser:
    """One window."""

    def __init__(self, url: str) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": list(OPTIONS), "binary": shutil.which(BROWSER)},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._url = url
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._url = f"{url}/session/{answer['sessionId']}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"{self._url}{path}", json={} if body is None else body, timeout=PATIENCE_S)
        value = answer.json()["value"]
        if not answer.ok:
            problem = StaleElement if value.get("error") == "stale element reference" else AssertionError
            raise problem(f"{path}: {value.get('error')}: {value.get('message', '')[:500]}")
        return value

    def close(self) -> None:
        """Close the window and its browser."""
        self._ask("DELETE", "")
        self._http.close()

    def open(self, url: str) -> None:
        """Lead the window to an address."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function's body in the page, and return what it returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, *arguments: Any, timeout_s: float = PATIENCE_S) -> Any:
        """Run a function's body again and again until it returns something true, and return that."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.run(script, *arguments)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {timeout_s} s: {script}; the page has: {self.text()[:2_000]}")
            time.sleep(0.1)
        return value

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def shows(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.until("return document.body && document.body.innerText.includes(arguments[0])", text)

    def element(self, selector: str) -> str:
        """Wait for an element, and return its id."""
        self.until("return document.querySelector(arguments[0]) !== null", selector)
        return str(self._ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])

    def click(self, selector: str) -> None:
        """Click on an element, as a person does: on the new one, if the page was drawn again just before."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(StaleElement):
                self._ask("POST", f"/element/{self.element(selector)}/click")
                return
        raise AssertionError(f"{selector} is drawn again and again")

    def type(self, selector: str, text: str) -> None:
        """Type a text into an element."""
        self._ask("POST", f"/element/{self.element(selector)}/value", {"text": text})

    def press(self, key: str, *held: str) -> None:
        """Press and release a key, wherever the focus is, while others are held down."""
        down = [{"type": "keyDown", "value": each} for each in (*held, key)]
        actions = [*down, *({"type": "keyUp", "value": each} for each in (key, *reversed(held)))]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def tab_to(self, selector: str, most: int = 60) -> None:
        """Press Tab until an element has the focus, once it is there."""
        self.element(selector)
        for _ in range(most):
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return
            self.press(TAB)
        at = self.run("return document.activeElement.outerHTML.slice(0, 200)")
        raise AssertionError(f"{most} times Tab don't lead to {selector}; the focus is at {at}")

    def enter_frame(self, selector: str) -> None:
        """Go on inside a frame."""
        self._ask("POST", "/frame", {"id": {ELEMENT: self.element(selector)}})

    def leave_frame(self) -> None:
        """Go on outside of all frames."""
        self._ask("POST", "/frame", {"id": None})

    def cookie(self, name: str, value: str) -> None:
        """Set a cookie of the present site."""
        self._ask("POST", "/cookie", {"cookie": {"name": name, "value": value, "path": "/"}})

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command of Chromium's own protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def look(self, *, width: int, dark: bool, height: int = 900) -> None:
        """Give the window a size, and let the system be light or dark."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file: Path, *, whole: bool = True) -> None:
        """Write a picture of the page, all of it or what the window shows."""
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(picture["data"]))

    def axe(self) -> list[str]:
        """Return what axe-core finds that is serious or worse: each rule with the first element that breaks it."""
        self.run(AXE.read_text())
        script = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done)"
        found = self._ask("POST", "/execute/async", {"script": script, "args": []})["violations"]
        serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
        return [
            f"{rule['id']}: {rule['nodes'][0]['html'][:200]} {rule['nodes'][0]['failureSummary']}" for rule in serious
        ]

    def log(self, kind: str = "browser") -> list[dict[str, Any]]:
        """Return what the browser has written into one of its logs since it was asked last."""
        entries: list[dict[str, Any]] = self._ask("POST", "/se/log", {"type": kind})
        return entries


@contextmanager
def browser(logs: Path) -> Iterator[Browser]:
    """Start a Chromium, until the context ends; without one on the PATH, the test is skipped."""
    if not (shutil.which(DRIVER) and shutil.which(BROWSER)):
        pytest.skip(f"there is no {BROWSER} and {DRIVER} on the PATH")
    port = free_port()
    kept = Kept.start((DRIVER, f"--port={port}", "--allowed-ips=127.0.0.1"), log=logs / "chromedriver.log")
    try:
        _wait(lambda: _listens(port))
        window = Browser(f"http://127.0.0.1:{port}")
        try:
            yield window
        finally:
            window.close()
    finally:
        kept.stop(5.0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_ready():
        assert time.monotonic() < deadline, "the driver doesn't listen"
        time.sleep(0.05)
