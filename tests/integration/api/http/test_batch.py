"""Two ordinary requests that the log takes in one batch: the second is decided on what the first changed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app.settings import Settings
from client import grants
from client.local import LocalClient
from consent.auditor import audit_export
from identity.actors import Actor, new_id
from storage.exports import write_export
from tests.support.ledger_fixture import CONTENT, LedgerFixture, entry_of, vkeys
from tests.support.one_by_one import one_batch
from tests.support.people import People
from tests.support.server import Web, in_process, kind_of, problem, until

Change = tuple[Actor, dict[str, Any]]
"""Somebody, and an event of theirs that isn't signed yet."""


@dataclass
class Meeting:
    """People, and a group of the doctor's hospital; what stands in the log before, and what is sent then."""

    people: People
    group: str

    @property
    def fixture(self) -> LedgerFixture:
        return self.people.fixture

    @property
    def pat(self) -> Actor:
        return self.people.pat.actor

    def of_admin(self, kind: str, **body: Any) -> Change:
        """By the admin of the doctor's hospital."""
        south = self.fixture.south
        stream, now = f"hospital/{south.hospital}", self.fixture.ledger.clock()
        return south.admin, south.admin.event(kind, stream, body, now)

    def of_pat(self, kind: str, v: int = 1, **body: Any) -> Change:
        """By the patient."""
        now, sent = self.fixture.ledger.clock(), body | {"purpose": "PATRQT"}
        return self.pat, self.pat.event(kind, self.people.pat.stream, sent, now) | {"v": v}

    def joins(self) -> Change:
        """The doctor joins the group."""
        return self.of_admin("group.joined", account=self.people.doctor.account, group=self.group)

    def done(self, by: Change) -> None:
        """Something that is in the log before."""
        entry_of(self.fixture.answer(by[1], by[0].key))

    def granted(self, grantee: str = "") -> None:
        """The patient has granted the doctor, or somebody else, the chart."""
        grantee = grantee or self.people.doctor.account
        grants.grant(LocalClient(self.fixture.ledger), self.pat, self.people.pat.patient, grantee)

    def excluded(self, reader: str) -> None:
        """The patient has excluded somebody."""
        grants.exclude(LocalClient(self.fixture.ledger), self.pat, self.people.pat.patient, reader)

    def opens(self) -> Change:
        """The doctor opens the record."""
        return self.people.doctor, self.people.reading()

    def lists(self) -> Change:
        """The doctor opens the chart."""
        doctor, now = self.people.doctor, self.fixture.ledger.clock()
        return doctor, doctor.event(
            "chart.opened", self.people.pat.stream, {"purpose": "TREAT"}, now
        )


def joins_excluded(meeting: Meeting) -> Change:
    """The doctor, granted the chart in person, joins a group that is excluded."""
    meeting.granted()
    meeting.excluded(meeting.group)
    return meeting.joins()


def joins_granted(meeting: Meeting) -> Change:
    """The doctor joins a group that was granted the chart."""
    meeting.granted(meeting.group)
    return meeting.joins()


def leaves_granted(meeting: Meeting) -> Change:
    """The doctor leaves a group that was granted the chart."""
    meeting.granted(meeting.group)
    meeting.done(meeting.joins())
    return meeting.of_admin(
        "group.left", account=meeting.people.doctor.account, group=meeting.group
    )


def leaves_excluded(meeting: Meeting) -> Change:
    """The doctor, granted the chart in person, leaves a group that is excluded."""
    meeting.done(joins_excluded(meeting))
    return meeting.of_admin(
        "group.left", account=meeting.people.doctor.account, group=meeting.group
    )


def is_excluded(meeting: Meeting) -> Change:
    """The hospital is excluded from which the doctor, granted the chart in person, reads."""
    meeting.granted()
    return meeting.of_pat("reader.excluded", reader=meeting.fixture.south.hospital)


def is_revoked(meeting: Meeting) -> Change:
    """The doctor's grant is revoked."""
    meeting.granted()
    return meeting.of_pat("access.revoked", v=2, grantee=meeting.people.doctor.account)


def is_suspended(meeting: Meeting) -> Change:
    """The doctor is suspended."""
    meeting.granted()
    return meeting.of_admin("doctor.suspended", account=meeting.people.doctor.account)


def is_hidden(meeting: Meeting) -> Change:
    """The record is hidden."""
    meeting.granted()
    return meeting.of_pat("record.hidden", record=meeting.people.record)


CHANGES: dict[Callable[[Meeting], Change], bool] = {
    joins_excluded: False, joins_granted: True, leaves_granted: False, leaves_excluded: True,
    is_excluded: False, is_revoked: False, is_suspended: False, is_hidden: False,
}  # fmt: skip
"""What the other request does, and whether the doctor's reading after it is permitted."""


@pytest.fixture
def meeting(settings: Settings) -> Iterator[Meeting]:
    fixture = LedgerFixture.found(settings)
    made = Meeting(People.of(fixture), new_id("gp", fixture.ledger.clock()))
    made.done(made.of_admin("group.formed", group=made.group))
    yield made
    fixture.verify()
    fixture.close()


def sent_together(
    meeting: Meeting, web: Web, change: Change, opening: Change
) -> tuple[httpx2.Response, httpx2.Response]:
    """Both answers, of two clients at once."""
    log, people = meeting.fixture.ledger.log, meeting.people
    paths = {
        "record.opened": f"/v1/records/{people.record}/content",
        "chart.opened": f"/v1/patients/{people.pat.patient}/chart",
    }
    sent = [web.signed(event, actor) for actor, event in (change, opening)]
    with ThreadPoolExecutor(2) as clients:
        with one_batch(meeting.fixture.ledger):
            first = clients.submit(web.post, "/v1/events", sent[0])
            until(lambda: log.waiting == 1, "the change waits")
            second = clients.submit(web.post, paths[opening[1]["type"]], sent[1])
            until(lambda: log.waiting == 2, "the reading waits")
        return first.result(), second.result()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change.__name__))
@pytest.mark.parametrize("opening", [Meeting.opens, Meeting.lists], ids=["record", "chart"])
def test_a_reading_is_decided_on_the_batch_before_it(
    meeting: Meeting,
    change: Callable[[Meeting], Change],
    opening: Callable[[Meeting], Change],
    tmp_path: Path,
) -> None:
    """As if the change had been answered first, after a restart too; the audit of the log agrees."""
    fixture, first = meeting.fixture, change(meeting)
    fixture.reopen()
    size = fixture.size()
    with in_process(fixture.ledger) as web:
        one, two = sent_together(meeting, web, first, opening(meeting))
    assert kind_of(one) == "200", one.text
    if CHANGES[change]:
        assert kind_of(two) == "200", two.text
    else:
        assert CONTENT not in two.content and meeting.people.record not in two.text
        assert problem(two)["status"] == 403, two.text
    times = {fixture.ledger.entry(seq).time for seq in range(size, fixture.size())}
    assert len(times) == 1, "it was one batch"
    write_export(fixture.ledger, tmp_path / "audited")
    assert not audit_export(tmp_path / "audited", vkeys(fixture.settings)).wrong
