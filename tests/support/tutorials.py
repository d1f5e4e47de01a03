"""Follows a page of docs/tutorials as its reader does: saves files, types commands, compares what they print.

A page's `console` blocks hold commands after `$ `, each followed by all that it prints; a command that
ends in a backslash goes on in the next line. `…` stands for whatever is printed there, alone for any lines.
A block after a line *Save as `NAME`:* is a file. A command must succeed, unless `$ echo $?` follows.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import ROOT

TUTORIALS = ROOT / "docs" / "tutorials"
BIN = Path(sys.executable).parent
TUTORIAL_SECONDS = 600
"""How long a whole page may take."""
_BLOCK = re.compile(r"(?:^Save as `([^`]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "\x1e"
_AFTER = f"code=$?; printf '\\n{_END}%s\\n' $code; (exit $code)"
_LEAVING = "trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT"


@dataclass
class Step:
    """A command and the lines that it must print."""

    command: str
    printed: list[str] = field(default_factory=list)

    def fits(self, output: str) -> bool:
        """Whether that was printed, `…` being anything."""
        lines = ("(?:.*\n)*?" if one == "…" else _pattern(one) + "\n" for one in self.printed)
        return re.fullmatch("".join(lines), output) is not None


def _pattern(line: str) -> str:
    return ".+?".join(map(re.escape, line.split("…")))


def steps(page: str) -> Iterator[Step]:
    """The steps of a page, in order; a file to be saved is one that prints nothing."""
    for name, language, content in _BLOCK.findall(page):
        if name:
            yield Step(f"cat > {name} <<'END OF FILE'\n{content}END OF FILE")
        elif language == "console":
            yield from _typed(content.splitlines())


def _typed(lines: list[str]) -> Iterator[Step]:
    step: Step | None = None
    for line in lines:
        if step and not step.printed and step.command.endswith("\\"):
            step.command += "\n" + line
        elif line.startswith("$ "):
            if step:
                yield step
            step = Step(line.removeprefix("$ "))
        else:
            assert step, f"printed before any command: {line}"
            step.printed.append(line)
    if step:
        yield step


def follow(name: str, place: Path, more: Mapping[str, str] | None = None) -> None:
    """Follow a page of docs/tutorials in an empty folder; fails at the first step that differs.

    `heartwood` there is the clone that the page's first lines make, and its commands are on the path.
    """
    if not (place / "heartwood").exists():
        (place / "heartwood").symlink_to(ROOT)
    go(list(steps((TUTORIALS / name).read_text())), place, more)


def go(todo: list[Step], place: Path, more: Mapping[str, str] | None = None) -> None:
    """Run steps in one shell."""
    assert todo
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(place), "LANG": "C.UTF-8"}
    script = "\n".join([_LEAVING, *(f"{step.command}\n{_AFTER}" for step in todo)])
    done = subprocess.run(
        ["bash", "-c", script], cwd=place, env=env | dict(more or {}), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TUTORIAL_SECONDS,
    )  # fmt: skip
    parts = re.split(f"\n{_END}(\\d+)\n", done.stdout)
    printed, codes = parts[0:-1:2], parts[1::2]
    assert len(codes) == len(todo), f"stopped: {done.stdout[-2_000:]}"
    for number, (step, output, code) in enumerate(zip(todo, printed, codes, strict=True)):
        told = f"$ {step.command}\n{output}"
        asked = todo[number + 1 :] and todo[number + 1].command == "echo $?"
        assert code == "0" or asked, f"ended with {code}:\n{told}"
        shown = output if output.endswith("\n") or not output else output + "\n"
        assert step.fits(shown), f"{told}\nthe page has:\n" + "\n".join(step.printed)
