"""The answers of a server, both ways: what it renders is what its client parses, by the same declaration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from client.codec import codec_of
from consent.decide import Decision
from consent.explain import Explanation
from identity.kept import MadeKey
from identity.own import BegunCode, BegunSetup, SetUp
from journeys.questions import Question
from ledger.entry import Entry
from ledger.facts import Record
from people.alone import OwnChart
from people.contacts import ContactShown
from people.joining import Registered, Registration
from people.lookups import Found
from people.numbers import NumberShown
from people.profiles import Profile, ProfileShown
from people.reserving import Reserved, Subject
from records.charts import Chart, Line
from records.emergencies import OpenedEmergency
from records.explaining import Answer
from records.history import Act, History
from records.inquiries import Inquired
from records.uploads import StagedBlob

RECORD = codec_of(Record)
REGISTRATION, REGISTERED = codec_of(Registration), codec_of(Registered)
STAGED, RESERVED, SUBJECT = codec_of(StagedBlob), codec_of(Reserved), codec_of(Subject)
QUESTION, OWN_CHART, BEGUN_CODE = codec_of(Question), codec_of(OwnChart), codec_of(BegunCode)
MADE_KEY = codec_of(MadeKey)
BEGUN_SETUP, SET_UP = codec_of(BegunSetup), codec_of(SetUp)
CONTACT = codec_of(ContactShown)
NUMBER, INQUIRED = codec_of(NumberShown), codec_of(Inquired)
PROFILE, PROFILE_SHOWN = codec_of(Profile), codec_of(ProfileShown)


@dataclass(frozen=True)
class Shown:
    """What a reading of a chart shows beside its entry."""

    readers: tuple[str, ...]
    title: str
    unopened: bool = False


@dataclass(frozen=True)
class Looked:
    """What a history holds beside its last entry."""

    entries: tuple[str, ...]
    names: dict[str, str]
    restored: tuple[str, ...]
    receipt: str
    seq: int
    texts: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Explained:
    """An explanation in one object."""

    as_of: int
    basis: tuple[int, ...]
    changes: tuple[str, ...]
    effect: str
    obligations: tuple[str, ...]
    policy: int
    reason: str
    rule: str
    why: str


@dataclass(frozen=True)
class Reviewing:
    """What an emergency shows to whoever reviews it beside the entry."""

    acts: tuple[Act, ...]
    reason: str
    receipt: str
    seq: int
    text: str


SHOWN, LOOKED, EXPLAINED = codec_of(Shown), codec_of(Looked), codec_of(Explained)
REVIEWING = codec_of(Reviewing)


def chart_json(chart: Chart, receipt: str) -> dict[str, Any]:
    """A chart, with the receipt of the entry that opened it."""
    return {
        "entry": chart.entry.raw.decode(),
        "held": list(chart.held),
        "more_in_emergency": chart.more_in_emergency,
        "receipt": receipt,
        "records": [
            {
                **RECORD.encode(line.record),
                **SHOWN.encode(Shown(line.readers, line.title, line.unopened)),
            }
            for line in chart.lines
        ],
        "seq": chart.entry.link.seq,
    }


def chart_of(answer: Mapping[str, Any], entry: Entry) -> Chart:
    """The chart of an answer, whose entry was proved."""
    lines = [(RECORD.decode(one), SHOWN.decode(one)) for one in answer["records"]]
    return Chart(
        entry,
        tuple(Line(record, shown.title, shown.readers, shown.unopened) for record, shown in lines),
        bool(answer["more_in_emergency"]),
        _names_of(answer["held"]),
    )


def _names_of(value: Any) -> tuple[str, ...]:
    """A list of records' ids; raises TypeError for what is none."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("expected a list of ids")
    return tuple(value)


def history_json(history: History, receipt: str) -> Any:
    """A history, with the receipt of its last entry."""
    entries, restored = (
        tuple(raw.decode() for raw in raws) for raws in (history.entries, history.restored)
    )
    seq = history.entry.link.seq
    texts = {number: dict(fields) for number, fields in history.texts.items()}
    return LOOKED.encode(Looked(entries, history.names, restored, receipt, seq, texts))


def history_of(answer: Any, entry: Entry) -> History:
    """The history of an answer, whose last entry was proved."""
    looked = LOOKED.decode(answer)
    entries, restored = (
        tuple(text.encode() for text in texts) for texts in (looked.entries, looked.restored)
    )
    return History(entry, entries, looked.names, restored, looked.texts)


def emergency_json(opened: OpenedEmergency, receipt: str) -> Any:
    """An emergency, with the receipt of the entry that opened it."""
    seq = opened.entry.link.seq
    return REVIEWING.encode(Reviewing(opened.acts, opened.reason, receipt, seq, opened.text))


def emergency_of(answer: Any, entry: Entry) -> OpenedEmergency:
    """The emergency of an answer, whose entry was proved."""
    found = REVIEWING.decode(answer)
    return OpenedEmergency(entry, found.reason, found.text, found.acts)


def found_json(found: Mapping[str, Found]) -> dict[str, Any]:
    """Patients and their accounts, each by identifier."""
    return {
        "accounts": {identifier: one.account for identifier, one in found.items()},
        "patients": {identifier: one.patient for identifier, one in found.items()},
    }


def found_of(answer: Mapping[str, Any]) -> dict[str, Found]:
    """The same of an answer."""
    accounts = answer["accounts"]
    return {name: Found(str(one), str(accounts[name])) for name, one in answer["patients"].items()}


def answer_json(answer: Answer) -> Any:
    """An explanation."""
    told, decision = answer.explanation, answer.explanation.decision
    explained = Explained(
        answer.as_of, decision.basis, told.changes, decision.effect, decision.obligations, answer.policy,
        decision.reason, decision.rule, told.why,
    )  # fmt: skip
    return EXPLAINED.encode(explained)


def answer_of(answer: Any) -> Answer:
    """The same of an answer."""
    told = EXPLAINED.decode(answer)
    decision = Decision(told.effect, told.rule, told.basis, told.reason, False, told.obligations)
    return Answer(Explanation(decision, told.why, told.changes), told.as_of, told.policy)
