"""`decide` with its facts, and the audit of a log: decisions made again from entries alone."""

import time
from pathlib import Path

from benchmarks.append import in_threads
from benchmarks.fixture import BenchFixture
from benchmarks.measure import Figure, workplace
from client import beside, registering
from client.beside import reading
from client.local import LocalClient
from consent.auditor import audit_export
from consent.decide import Request, decide
from consent.gate import gather
from identity.actors import Actor, new_key
from ledger.directory import Hospital, Member, Patient
from ledger.facts import Grant, Record, Version
from ledger.files import read_vkeys
from ledger.policies import DEFAULT_POLICY, Policy
from ledger.relations import RELATIVE, Relation
from ledger.rows import Rows
from records.opening import find_records
from records.uploads import Upload
from storage.exports import write_export

GRANTS = 1_000
RELATIVES = 50
QUESTIONS = 100_000
READINGS = 20_000
UPLOADS = 20_000
NOW = 1_795_000_000_000


def figures() -> list[Figure]:
    """The 99th percentile of `decide`, and decisions a second of the audit."""
    p99 = decide_p99()
    with workplace() as place:
        audit = audited(place)
    return [Figure.of("decide", p99), Figure.of("audit", audit)]


def decide_p99() -> float:
    """Gathering the facts and deciding, in µs; each question by another of 1,000 grantees and 50 relatives."""
    rows, record = Rows(), _record()
    rows.put(Hospital("hs_1", 1, True, True))
    rows.put(Patient("pt_1", "ac_p", "hs_0", 2, 0, 0, 0))
    for number in range(GRANTS):
        account = f"ac_{number}"
        rows.put(Member(account, "doctor", "hs_1", 3 + number, True, 0, 0))
        rows.put(_grant(account, number))
    for number in range(RELATIVES):
        rows.put(_relation(f"ac_r{number}", 4_000 + number))
    policy = Policy.of(DEFAULT_POLICY, 0)
    asked = [
        (Request(f"ac_{n}", "doctor", "hs_1", True, 3, "", "pt_1", "read", "TREAT", NOW, 5_000, record), "S9")
        for n in range(GRANTS)
    ] + [
        (Request(f"ac_r{n}", "relative", "", True, 3, "ac_p", "pt_1", "read", "FAMRQT", NOW, 5_000, record), "S10")
        for n in range(RELATIVES)
    ]  # fmt: skip
    took = []
    for number in range(QUESTIONS):
        request, rule = asked[number % len(asked)]
        began = time.perf_counter_ns()
        decision = decide(request, gather(request, rows), policy)
        took.append(time.perf_counter_ns() - began)
        if decision.rule != rule:
            raise SystemExit(f"got {decision}")
    return sorted(took)[int(QUESTIONS * 0.99)] / 1000


def audited(place: Path) -> float:
    """Decisions a second over a log of uploads and readings."""
    fixture = BenchFixture.build(place, 500)
    ledger = fixture.ledger
    doctor, _ = registering.add_member(
        LocalClient(ledger),
        fixture.admin,
        "doctor",
        fixture.system.hospital,
        "Dr. Bench",
        new_key(),
    )
    beside.upload(
        ledger,
        fixture.system,
        [Upload(p, "laboratory", "text/plain", [b"x"]) for p in fixture.patients],
    )
    records = [find_records(ledger, patient)[0] for patient in fixture.patients]

    def read(part: tuple[Actor, int]) -> None:
        ledger.append(
            [reading(ledger, part[0], records[n % len(records)], "TREAT") for n in range(part[1])]
        )

    in_threads(read, [(doctor, 500)] * (READINGS // 500))
    for one in fixture.signed(fixture.uploads(UPLOADS)):
        ledger.submit([ledger.signatures.event(one.raw, one.key, one.value)])
    write_export(ledger, place / "export")
    ledger.close()
    keys = read_vkeys(fixture.settings.data / "log.vkey")
    found = max(
        (audit_export(place / "export", keys) for _ in range(3)),
        key=lambda a: a.decisions / a.seconds,
    )
    if found.wrong:
        raise SystemExit(f"wrong decisions: {found.wrong[:3]}")
    return found.decisions / found.seconds


def _record() -> Record:
    version = Version(1, 10, "bl_1", "", 1, "text/plain")
    return Record(
        record="rc_1", patient="pt_1", seq=10, author="ac_w", hospital="hs_0", category="laboratory",
        clinical_date="2026-01-01", confidentiality="normal", episode="", labels=(), sensitive=False,
        minor_private=False, state="live", state_seq=10, versions=(version,),
    )  # fmt: skip


def _grant(account: str, number: int) -> Grant:
    name = f"gr_{number}"
    return Grant(
        patient="pt_1", grantee=account, lineage=name, grant=name, seq=2_000 + number, active=True,
        scope="full", records=(), actions=("list", "read"), purposes=("TREAT",), labels=(),
        sensitive=False, start=0, end=NOW + 1, uses=0, used=0,
    )  # fmt: skip


def _relation(account: str, seq: int) -> Relation:
    """A relative who may look at the whole chart."""
    return Relation(
        patient="pt_1", account=account, kind=RELATIVE, seq=seq, active=True, hospital="", actions=("list", "read"),
        scope="full", records=(), labels=(), sensitive=False, what=(), exceptions=(), start=0, end=NOW + 1,
    )  # fmt: skip
