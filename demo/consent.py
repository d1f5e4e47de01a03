"""Grant, read, refuse, revoke: what the patient says counts from that very entry on."""

from client import beside, grants, readings
from client.local import LocalClient
from demo.people import SEED, Story, discharge_letter
from demo.steps import DemoFailed, Steps, expect
from identity.actors import Actor
from imports.fhir import scan_bundle
from journeys.errors import AccessDenied
from ledger.entry import nested_event
from records import opening
from synthetic import scan_png


def consent(step: Steps, story: Story) -> None:
    """Grant, read, refuse, revoke, refuse, and the history of it."""
    ledger, patient, chart = story.ledger, story.patient, story.chart
    reader, stranger, client = story.doctors[2], story.doctors[3], LocalClient(ledger)
    _, granted = step(
        "the patient grants a southern doctor",
        lambda: grants.grant(client, patient, chart, reader.account),
        lambda pair: f"entry {pair[1]}, the whole chart, {ledger.policy.grant_days_max} days",
    )
    story.granted = granted
    step(
        "the doctor reads all of it",
        lambda: read_all(story, reader, granted),
        lambda n: f"{n[0]} records, {n[1]} bytes, each as its source had it",
    )
    step(
        "a colleague of that doctor is refused",
        lambda: refused(story, stranger),
        lambda seq: f"and the refusal is entry {seq}",
    )
    step(
        "the patient revokes the grant",
        lambda: grants.revoke(client, patient, chart, reader.account),
        lambda seq: f"entry {seq}",
    )
    step(
        "the doctor's next reading is refused",
        lambda: refused(story, reader),
        lambda seq: f"and the refusal is entry {seq}",
    )
    step(
        "the patient looks at the history",
        lambda: look_back(story),
        lambda n: f"{n[0]} acts, {n[1]} readings, {n[2]} of them refused",
    )


def read_all(story: Story, reader: Actor, granted: int) -> tuple[int, int]:
    """Read every record of the chart by the grant; compare with the source. (records, bytes)"""
    ledger = story.ledger
    rows = opening.find_records(ledger, story.chart)
    contents = {}
    for row in rows:
        proposal = beside.reading(ledger, reader, row, "TREAT")
        shown = opening.open_record(ledger, proposal)
        contents[row.record] = b"".join(shown.content)
        decision = shown.entry.decision or {}
        expect((decision["rule"], decision["basis"]) == ("S9", [granted]), f"got {decision}")
        expect(len(contents[row.record]) == shown.size, "a content of another length")
    source = story.source
    expect(contents[story.letter.record] == discharge_letter(source.name), "another letter")
    expect(contents[story.scan.record] == scan_png(SEED), "another scan")
    everything = b"".join(contents.values())
    for resource in scan_bundle(source.bundle)[1]:
        expect(resource.raw in everything, f"{resource.type} is in no record as the source had it")
    return len(rows), len(everything)


def refused(story: Story, reader: Actor) -> int:
    """A reading must be refused, and the refusal stand in the log, signed by the reader; its entry."""
    ledger = story.ledger
    row = opening.find_record(ledger, story.letter.record)
    proposal = beside.reading(ledger, reader, row, "TREAT")
    try:
        opening.open_record(ledger, proposal)
    except AccessDenied as denied:
        expect(denied.seq is not None and denied.rule == "S12", f"got {denied}")
        entry = ledger.entry(denied.seq or 0)
        expect(entry.event.type.name == "access.refused", "the refusal is another event")
        expect(nested_event(entry.event)[0].raw == proposal.event.raw, "another reading inside")
        return entry.link.seq
    raise DemoFailed(f"{reader.account} could read what nobody granted")


def look_back(story: Story) -> tuple[int, int, int]:
    """The patient's history; (acts, readings, refused readings)."""
    acts = readings.history(LocalClient(story.ledger), story.patient, story.chart, "PATRQT").acts()
    opened = [act for act in acts if act.type == "record.opened"]
    denied = [act for act in opened if act.effect == "deny"]
    expect(
        {act.actor for act in denied} == {d.account for d in story.doctors[2:]}, "other refusals"
    )
    return len(acts), len(opened), len(denied)
