"""The demonstration's page: well-formed, self-contained, every name escaped, and as the log has it."""

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest

from consent.auditor import Audit, audit_export
from demo import run
from demo.telling import STORY
from ledger.auditor import Report, verify_export
from ledger.entry import Entry
from ledger.files import read_vkeys
from ledger.tiles import split_bundle
from ledger.verifier import read_checkpoint
from synthetic import people
from tests.support.paths import ROOT

HOSTILE = '<b>&"'
VOID = {"meta", "br", "hr", "img", "input", "link", "base", "source", "wbr", "col", "embed"}
FETCHING = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "audio", "video"}
DRAWN = {"path", "circle", "rect", "line"}
"""Elements of SVG that are closed where they open."""


@dataclass
class Element:
    """An element with the text below it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """Reads HTML strictly: what is opened is closed in order, no attribute stands twice."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The base class begins as it must."""
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, f"<{tag}/>"
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1].tag == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def of(self, tag: str, kind: str = "") -> list[Element]:
        """The elements of a tag, of a class if one is given."""
        return [
            element
            for element in self.elements
            if element.tag == tag and kind in ("", *(element.attributes.get("class") or "").split())
        ]


def parsed(text: str) -> Page:
    """The page, read to its end."""
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open, page.open[-1].tag
    return page


@dataclass
class Told:
    """A finished demonstration: its page, its export checked anew, and the lying server's."""

    html: str
    said: list[str]
    page: Page
    entries: list[Entry]
    root: bytes
    report: Report
    audit: Audit
    lying: Audit


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The demonstration with hostile names everywhere: of the patient, the doctors, the hospitals."""
    place = tmp_path_factory.mktemp("story") / "demo"
    said: list[str] = []
    cast = import_module("demo.people")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(people, "FAMILY", (HOSTILE,))
        patched.setattr(cast, "NORTH", f"North {HOSTILE}")
        patched.setattr(cast, "SOUTH", f"South {HOSTILE}")
        patched.setattr(cast, "DOCTORS", tuple(f"Dr. {HOSTILE} {n}" for n in "ABCD"))
        people.street.cache_clear()
        try:
            run(place, said.append)
        finally:
            people.street.cache_clear()
    keys, export = read_vkeys(place / "ledger" / "log.vkey"), place / "export"
    report = verify_export(export, keys)
    tiles = sorted((export / "tile" / "entries").iterdir())
    files = [path for tile in tiles for path in ([tile] if tile.is_file() else [*tile.iterdir()])]
    raws = [raw for path in files for raw in split_bundle(path.read_bytes())]
    entries = sorted(map(Entry.parse, raws), key=lambda entry: entry.link.seq)
    checkpoint, _ = read_checkpoint(lambda path: (export / path).read_bytes(), keys)
    html = (place / STORY).read_text()
    lying = audit_export(place / "lied", keys)
    return Told(
        html,
        said,
        parsed(html),
        entries,
        checkpoint.root,
        report,
        audit_export(export, keys),
        lying,
    )


def test_the_demo_names_the_page_in_its_last_line(told: Told) -> None:
    assert re.search(rf"Open the story: \S+/{STORY}\Z", told.said[-1])


def test_the_page_is_one_document(told: Told) -> None:
    page = told.page
    assert told.html.startswith("<!DOCTYPE html>\n")
    for tag in ("html", "head", "title", "body", "h1", "main"):
        assert len([e for e in page.elements if e.tag == tag]) >= 1
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    labels = {
        e.attributes["aria-labelledby"] for e in page.elements if "aria-labelledby" in e.attributes
    }
    assert labels <= set(ids) and len(labels) > 8
    for drawing in page.of("svg"):
        assert {"role", "aria-hidden"} & drawing.attributes.keys()


def test_the_page_fetches_nothing(told: Told) -> None:
    page = told.page
    assert not FETCHING & {element.tag for element in page.elements}
    for element in page.elements:
        for name, value in element.attributes.items():
            assert name not in ("src", "href", "xlink:href", "srcset", "style", "action", "data")
            assert not name.startswith("on")
            assert not re.search(r"https?:|//|url\(|javascript:", value or ""), (name, value)
    (style,) = page.of("style")
    assert not re.search(r"url\(|@import|https?:|@font-face|</", style.text)
    for needed in ("prefers-color-scheme: dark", "@media print", "max-width: 640px"):
        assert needed in style.text


def test_every_name_is_escaped(told: Told) -> None:
    assert HOSTILE not in told.html
    assert not told.page.of("b")
    assert told.html.count("&lt;b&gt;&amp;&#34;") > 30
    (heading,) = [e for e in told.page.elements if e.tag == "title" and "A day" in e.text]
    assert heading.text.endswith(HOSTILE)
    assert any(HOSTILE in e.text for e in told.page.of("text"))


def test_a_name_that_is_not_escaped_would_be_found(told: Told) -> None:
    with pytest.raises(AssertionError):
        parsed(told.html.replace("&lt;b&gt;&amp;&#34;", HOSTILE))


def test_the_numbers_are_those_of_the_log(told: Told) -> None:
    numbers = [int(element.text) for element in told.page.of("dd")]
    counts = told.report.counts
    assert numbers == [counts.entries, counts.readings, counts.refusals, 1]
    assert counts.entries == len(told.entries) == told.audit.size
    assert counts.refusals == sum(e.event.type.name == "access.refused" for e in told.entries)
    text = told.page.of("body")[0].text
    assert f"{told.audit.decisions} decisions were made again" in text
    assert f"{counts.entries} entries in {counts.streams} streams" in text
    assert told.root.hex() in text
    for words, count in told.audit.by_rule.items():
        assert re.search(rf"{re.escape(words)}\s*{count}\b", text), words


def test_every_entry_of_the_chart_is_told(told: Told) -> None:
    """The moments' entries are those of the patient's stream, no more and no less."""
    moments = [element.text for element in told.page.of("span", "where")]
    refused = [e for e in told.entries if e.event.type.name == "access.refused"]
    stream = refused[0].event.stream
    chart = [entry.link.seq for entry in told.entries if entry.event.stream == stream]
    told_entries = []
    for text in moments:
        found = re.search(r"(?:entry (\d+)|(?:(\d+) )?entries,? (\d+) to (\d+))$", text)
        assert found, text
        first, last = int(found[1] or found[3]), int(found[1] or found[4])
        part = [seq for seq in chart if first <= seq <= last]
        assert len(part) == int(found[2] or last - first + 1), text
        told_entries += part
    assert told_entries == chart
    chips = [e for e in told.page.of("span", "refused") if "chip" in (e.attributes["class"] or "")]
    here = sum(entry.event.stream == stream for entry in refused)
    assert len(chips) == 2 * here, "each refusal is in the day and in the table"


def test_the_lie_is_named(told: Told) -> None:
    (wrong,) = told.lying.wrong
    assert f"Entry {wrong.seq}" in [element.text for element in told.page.of("h3")]
    assert wrong.what in told.page.of("body")[0].text
    assert wrong.seq == told.report.size


def test_the_wheel_carries_the_templates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = {n for n in zipfile.ZipFile(wheel).namelist() if "/templates/" in n}
    folders = [ROOT / "demo" / "report" / "templates", ROOT / "api" / "portal" / "templates"]
    here = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert names == {str(path.relative_to(ROOT)) for path in here}
