"""Chromium without a window, spoken to over its DevTools pipe (file descriptors 3 and 4, JSON between zero bytes).

with chromium(tmp_path) as browser:
    browser.visit(url)
    browser.run("return location.host")
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.packages import program

OPTIONS = (
    "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
    "--remote-debugging-pipe", "about:blank",
)  # fmt: skip
_PIPES = 'exec 3<&"$IN" 4>&"$OUT"; exec "$@"'


@dataclass
class Browser:
    """One page of one browser."""

    sends: IO[bytes]
    gets: IO[bytes]
    number: int = 0
    session: str = ""

    def tell(self, method: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol; its result."""
        self.number += 1
        sent = {"id": self.number, "method": method, "params": parameters}
        sent |= {"sessionId": self.session} if self.session else {}
        self.sends.write(json.dumps(sent).encode() + b"\0")
        self.sends.flush()
        while (found := self._message()).get("id") != self.number:
            pass
        assert "error" not in found, found
        return found["result"]

    def _message(self) -> dict[str, Any]:
        data = b""
        while not data.endswith(b"\0"):
            piece = self.gets.read(1)
            assert piece, "the browser has ended"
            data += piece
        found: dict[str, Any] = json.loads(data[:-1])
        return found

    def visit(self, url: str) -> None:
        """Open a page, and wait until it is there."""
        self.tell("Page.navigate", url=url)
        wanted = f"location.href.startsWith({json.dumps(url)}) && document.readyState == 'complete'"
        while not self.tell("Runtime.evaluate", expression=wanted)["result"]["value"]:
            pass

    def run(self, body: str, **given: Any) -> Any:
        """What an async function with this body returns; `given`: what it is called with, by name."""
        function = f"(async ({', '.join(given)}) => {{{body}}})"
        call = f"{function}({', '.join(json.dumps(value) for value in given.values())})"
        found = self.tell(
            "Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`; ended with the block."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    command = [
        "bash",
        "-c",
        _PIPES,
        "chromium",
        program("chromium", "chromium"),
        f"--user-data-dir={folder}",
        *OPTIONS,
    ]
    environment = {**os.environ, "IN": str(theirs_in), "OUT": str(theirs_out), "HOME": str(folder)}
    process = subprocess.Popen(
        command, env=environment, pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    with os.fdopen(ours_out, "wb") as sends, os.fdopen(ours_in, "rb") as gets:
        browser = Browser(sends, gets)
        try:
            target = browser.tell("Target.createTarget", url="about:blank")["targetId"]
            browser.session = browser.tell("Target.attachToTarget", targetId=target, flatten=True)[
                "sessionId"
            ]
            yield browser
        finally:
            process.terminate()
            process.wait(30)
