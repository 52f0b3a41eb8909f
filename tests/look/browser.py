"""A headless Chromium, driven through the DevTools protocol over two pipes: JSON objects, each
followed by a zero byte (`--remote-debugging-pipe`: the browser reads from descriptor 3 and writes
to 4). One process serves all tests; each page is a tab of its own."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import tempfile
import time
from pathlib import Path

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
HOW_TO_GET = ("no browser found: `apt-get install chromium-headless-shell`, or name one in "
              "MINIBERT_BROWSER")
OPTIONS = ["--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu",
           "--disable-dev-shm-usage", "--force-device-scale-factor=1", "--hide-scrollbars",
           "--no-first-run", "--disable-extensions", "--disable-background-networking"]
PATIENCE = 20.0  # seconds for one answer
KEY_CODES = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), " ": (32, " "),
             "ArrowLeft": (37, ""), "ArrowUp": (38, ""), "ArrowRight": (39, ""),
             "ArrowDown": (40, ""), "Home": (36, ""), "End": (35, "")}


def find_browser() -> str | None:
    """The browser's program: that of MINIBERT_BROWSER, else the first known one."""
    named = os.environ.get("MINIBERT_BROWSER")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """The process. `page()` opens a tab, `close()` ends all."""

    def __init__(self, program: str):
        self.folder = tempfile.mkdtemp(prefix="minibert-browser-")
        read, self.write_end = os.pipe()
        self.read_end, write = os.pipe()
        # dup2 in the child must not meet an end that is itself 3 or 4
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write)]
        for end in (read, write):
            os.close(end)
        actions = [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[1], 4),
                   (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        self.process = os.posix_spawn(
            program, [program, *OPTIONS, f"--user-data-dir={self.folder}"], os.environ,
            file_actions=actions)
        for end in ends:
            os.close(end)
        self.number, self.received, self.pages = 0, b"", {}

    def call(self, method: str, session: str | None = None, **params) -> dict:
        """The result of one command. Errors: RuntimeError, the browser's message."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def receive(self) -> dict:
        """The next message; an event is also handed to its page."""
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.read_end], [], [], max(end - time.monotonic(), 0))
            piece = os.read(self.read_end, 1 << 16) if ready else b""
            if not piece:
                raise RuntimeError("the browser has ended, or does not answer")
            self.received += piece
        text, self.received = self.received.split(b"\0", 1)
        message = json.loads(text)
        if message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].on_event(message)
        return message

    def page(self, **view) -> Page:
        return Page(self, **view)

    def close(self) -> None:
        try:
            self.call("Browser.close")
        except (RuntimeError, OSError):
            pass
        os.close(self.write_end)
        os.waitpid(self.process, 0)
        os.close(self.read_end)
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    """A tab. `console` collects what a page must not write (errors, warnings, refusals), `requests`
    all addresses it asked for."""

    def __init__(self, browser: Browser, width: int = 1280, height: int = 900, dark: bool = False,
                 scripts: bool = True):
        self.browser = browser
        self.console: list[str] = []
        self.requests: list[str] = []
        self.events: list[str] = []
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target,
                                    flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.media(dark=dark)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, **params) -> dict:
        return self.browser.call(method, self.session, **params)

    def on_event(self, message: dict) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method:
            self.events.append(method)
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value")) for one in params["args"]))
        elif method == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    # ---- what a reader does ----------------------------------------------------------------------

    def open(self, path: Path, hash: str = "") -> Page:
        """Load a file, and wait until it is complete."""
        self.events.clear()
        self.call("Page.navigate", url=Path(path).as_uri() + hash)
        while "Page.loadEventFired" not in self.events:
            self.browser.receive()
        return self

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def media(self, dark: bool = False, kind: str = "") -> None:
        """Prefer dark or light colours; `kind` "print" shows the page as it is printed."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=kind, features=[scheme])

    def evaluate(self, expression: str):
        """The value of a JavaScript expression. Errors: RuntimeError, its exception."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"].get("exception", result)))
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector: str, dx: float | None = None, dy: float | None = None,
              modifiers: int = 0) -> None:
        """A click into the middle of an element, or (dx, dy) from its corner."""
        x, y, width, height = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x, r.y, r.width, r.height]; })()")
        place = {"x": x + (width / 2 if dx is None else dx),
                 "y": y + (height / 2 if dy is None else dy),
                 "button": "left", "clickCount": 1, "modifiers": modifiers}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=place["x"], y=place["y"])
        self.call("Input.dispatchMouseEvent", type="mousePressed", **place)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def key(self, *keys: str, modifiers: int = 0) -> None:
        """Press keys one after the other; `modifiers` 8 is Shift."""
        for key in keys:
            code, text = KEY_CODES.get(key, (ord(key[0].upper()), key))
            event = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            if text:
                event["text"] = text
            self.call("Input.dispatchKeyEvent", type="keyDown", **event)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    # ---- what it shows ---------------------------------------------------------------------------

    def screenshot(self, path: Path | None = None) -> bytes:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000),
                "scale": 1}
        data = base64.b64decode(self.call("Page.captureScreenshot", clip=clip,
                                          captureBeyondViewport=True)["data"])
        if path is not None:
            Path(path).write_bytes(data)
        return data

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF")["data"])

    def accessible(self) -> list[dict]:
        """The nodes of the accessibility tree as {"role", "name"}."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [{"role": node.get("role", {}).get("value"),
                 "name": node.get("name", {}).get("value", "")}
                for node in nodes if not node.get("ignored")]

    def close(self) -> None:
        self.browser.pages.pop(self.session, None)
        self.browser.call("Target.closeTarget", targetId=self.target)
