"""The day told: what the patient and the auditors saw, written as a page."""

import json
from pathlib import Path

from client import readings
from client.local import LocalClient
from client.port import LedgerClient
from crypto.texts import counted
from demo.people import Story
from demo.report import Day, Found, Seen
from demo.steps import Steps, expect
from durable.files import replace_file
from records.charts import Line

STORY = "story.html"
BEFORE, AFTER = 2, 1
"""Entries around the letter's that the page draws."""


def look_back(step: Steps, story: Story) -> Seen:
    """The patient's list and history at the end of the day; what auditors find comes later."""
    client = LocalClient(story.ledger)
    day = step(
        "the patient looks back on the day",
        lambda: _seen(client, story),
        lambda seen: (
            f"{counted(len(seen.lines), 'record')}, {counted(len(seen.history.entries), 'entry')}, none missing"
        ),
    )
    expect(day.name == story.source.name, "a chart of another name")
    return day


def tell(step: Steps, story: Story, seen: Seen, found: Found) -> Path:
    """Write the page into the demonstration's folder; its path."""
    # Only here: every command would load the template library otherwise.
    from demo.report.moments import scenes
    from demo.report.page import render

    path = story.place / STORY
    told = Day(**vars(seen), marks=tuple(step.marks), steps=tuple(step.done), found=found)

    def write() -> int:
        page = render(told).encode()
        replace_file(path, page)
        return len(page)

    step(
        "the story of the day is written",
        write,
        lambda size: f"{len(scenes(told))} scenes, {size} bytes, in {path}",
    )
    return path


def _seen(client: LedgerClient, story: Story) -> Seen:
    patient, chart = story.patient, story.chart
    lines = readings.chart(client, patient, chart, "PATRQT").lines
    name = _own_name(client, story, lines)
    history = readings.history(client, patient, chart, "PATRQT")
    seq, ledger = story.letter.seq, story.ledger
    around = ledger.entries(range(seq - BEFORE, seq + AFTER + 1))
    return Seen(
        origin=client.origin,
        patient=patient.account,
        name=name,
        lines=lines,
        history=history,
        names=history.names,
        around=[around[n] for n in sorted(around)],
    )


def _own_name(client: LedgerClient, story: Story, lines: tuple[Line, ...]) -> str:
    """The patient's name, as the demographics of the chart have it."""
    record = next(line.record for line in lines if line.record.category == "demographics")
    _, shown = readings.read(client, story.patient, record.record, "PATRQT")
    bundle = json.loads(b"".join(shown.content))
    name = bundle["entry"][0]["resource"]["name"][0]
    return " ".join([*name["given"], name["family"]])
