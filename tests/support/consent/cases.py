"""The model's situations put before the engine.

The model (`tests/support/consent/model.py`) speaks in plain dicts. `entries_of` writes a situation down as the
entries of a log, as far as folding looks at them; the product's own folds make rows of those, and its
own gate gathers the facts for a question.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from consent import decide as engine
from consent import gate
from consent.decide import Decision, Facts, Request
from crypto.encoding import b64encode
from ledger.chain import Link
from ledger.directory import Account, Hospital, Member
from ledger.entry import Entry
from ledger.event import Event, Signature
from ledger.facts import Erasure, Grant, Record
from ledger.policies import DEFAULT_POLICY, LOG, Policy, PolicyRow
from ledger.registry import registry_hash
from ledger.relations import Delegation, Relation
from ledger.rows import Rows
from ledger.signers import holds_role
from ledger.times import format_time
from ledger.types import REGISTRY
from ledger.types.access import ACCESS_GRANTED
from tests.support.consent.model import Answer, Ask, Situation
from tests.support.consent.random_cases import NOW, PATIENT, WAIT

Body = dict[str, Any]
AS_OF: Final = 5_000
"""The entry before every question; situations have fewer."""

# --- a situation's entries


def entries_of(situation: Situation) -> list[Entry]:
    """All that happened, but for how people and hospitals came into the log."""
    return sorted(
        (*shared_entries(situation), *chart_entries(situation)), key=lambda entry: entry.link.seq
    )


def shared_entries(situation: Situation) -> Iterator[Entry]:
    """Groups, and who joined and left them."""
    for group, hospital in situation["groups"].items():
        yield entry_of("group.formed", 0, {"group": group}, f"hospital/{hospital}")
    for joining in situation["joinings"]:
        kind = "group.joined" if joining["joined"] else "group.left"
        body = {"account": joining["account"], "group": joining["group"]}
        stream = f"hospital/{situation['groups'][joining['group']]}"
        yield entry_of(kind, joining["seq"], body, stream)


def chart_entries(situation: Situation) -> Iterator[Entry]:
    """One patient's entries."""
    stream = f"patient/{situation['chart']}"
    yield from patient_entries(situation["patient"], stream)
    for record in situation["records"]:
        yield from record_entries(record, stream)
    for hold in situation.get("holds", ()):
        yield from hold_entries(hold, stream)
    names = {grant["lineage"]: grant["id"] for grant in reversed(situation["grants"])}
    for grant in situation["grants"]:
        by, v = ((grant["by"], None), 3) if grant.get("by") else (("ac_0", None), form(grant))
        role = "relative" if grant.get("by") else "patient"
        yield entry_of(
            "access.granted", grant["seq"], granted_body(grant), stream, by, v=v, role=role
        )
    for end in situation["revocations"]:
        body = {"grantee": end["grantee"], "purpose": "PATRQT"}
        if end["lineage"] is not None:
            body["grant"] = names[end["lineage"]]
        v = 2 if end["grantee"] in situation["groups"] else 1
        yield entry_of("access.revoked", end["seq"], body, stream, v=v)
    for said in situation["exclusions"]:
        kind = "reader.included" if said["lifted"] else "reader.excluded"
        yield entry_of(kind, said["seq"], {"reader": said["reader"], "purpose": "PATRQT"}, stream)
    for one in situation.get("emergencies", []):
        named, body = (one["doctor"], one["hospital"]), {"reason": "other", "purpose": "BTG"}
        times = {"time": one["start"], "event": one["id"]}
        yield entry_of("emergency.declared", one["seq"], body, stream, named, **times)
    for one in situation.get("consultations", []):
        yield from consultation_entries(one, stream)
    for one in situation.get("referrals", []):
        yield from referral_entries(one, stream)
    for one in situation.get("ceilings", []):
        yield entry_of("emergency.configured", one["seq"], {"ceiling": one["ceiling"]}, stream)
    for link in situation.get("links", []):
        yield from link_entries(link, situation["chart"])
    for used in situation["openings"]:
        named = used["actor"], used["hospital"]
        decision = {"rule": "S9", "basis": used["basis"]}
        yield entry_of(used["type"], used["seq"], {}, stream, named, decision=decision)


def link_entries(link: Ask, chart: str) -> Iterator[Entry]:
    """A chart of the same person, what it says, and that a hospital links the two, in the stream of one of them."""
    other, hospital = link["other"], ("ac_linker", "hs_0")
    named = {"patient": other, "account": link["account"]}
    yield entry_of("patient.registered", link["registered"], named, f"patient/{other}", v=2)
    in_other = link["seq"] % 2
    ends = (other, chart) if in_other else (chart, other)
    yield _said("patient.linked", link["seq"], ends, hospital)
    for grant in link["grants"]:
        body = granted_body(grant)
        yield entry_of("access.granted", grant["seq"], body, f"patient/{other}", v=form(grant))
    for said in link["exclusions"]:
        kind = "reader.included" if said["lifted"] else "reader.excluded"
        body = {"reader": said["reader"], "purpose": "PATRQT"}
        yield entry_of(kind, said["seq"], body, f"patient/{other}")
    if link["signed"] is not None:
        yield _said("patient.linked", link["signed"], (chart, other))
    if link["theirs"] is not None:
        yield _said("patient.linked", link["theirs"], (other, chart))
    if link["parted"] is not None:
        yield _said("patient.unlinked", link["parted"], (chart, other))


def _said(
    kind: str, seq: int, charts: tuple[str, str], by: tuple[str, str | None] = ("ac_0", None)
) -> Entry:
    """That two charts are of one person, or aren't, in the stream of the first."""
    own, other = charts
    return entry_of(kind, seq, {"patient": own, "other": other}, f"patient/{own}", by)


def patient_entries(patient: Ask | None, stream: str) -> Iterator[Entry]:
    if patient is None:
        return
    ages = {name: patient[name] for name in ("teen_from", "adult_from")}
    body: Body = {name: format_time(age) for name, age in ages.items() if age is not None}
    body |= {"patient": patient["id"], "account": patient["account"]}
    dead, by = patient["deceased"], ("ac_registrar", patient["hospital"])
    told = {"deceased": True}
    at_once = told if dead == patient["seq"] else {}
    claims = patient.get("claims", [])
    with_code = {"claim": CLAIM} if claims and claims[0]["seq"] == patient["seq"] else {}
    registered = body | at_once | with_code
    yield entry_of("patient.registered", patient["seq"], registered, stream, by, v=2)
    yield from claim_entries(claims[bool(with_code) :], stream)
    if dead and not at_once:
        yield entry_of("patient.corrected", dead, body | told, stream, by)
    erased = patient.get("erased")
    if erased is not None:
        yield entry_of("erasure.requested", erased, {}, stream, event=f"ev_{erased}")


CLAIM: Final = b64encode(bytes(32))
"""The public key of every code: whether it is proved, no fold and no stage asks."""


def claim_entries(claims: Iterable[Ask], stream: str) -> Iterator[Entry]:
    for one in claims:
        if one["code"]:
            by = ("ac_offerer", one["hospital"])
            yield entry_of("claim.offered", one["seq"], {"claim": CLAIM}, stream, by)
        else:
            yield entry_of("patient.claimed", one["seq"], {}, stream, (one["account"], None))


def hold_entries(hold: Ask, stream: str) -> Iterator[Entry]:
    """Placed, and lifted where it was."""
    name = f"ev_{hold['seq']}"
    body: Body = {"kind": hold["kind"], "reason": "other"}
    body |= {key: hold[key] for key in ("record", "against") if hold[key] is not None}
    if hold["end"] is not None:
        body["until"] = format_time(hold["end"])
    by = ("ac_holder", hold["hospital"])
    yield entry_of("hold.placed", hold["seq"], body, stream, by, event=name)
    if hold["lifted"] is not None:
        yield entry_of("hold.lifted", hold["lifted"], {"hold": name}, stream, by)


def consultation_entries(one: Ask, stream: str) -> Iterator[Entry]:
    """Opened, and what became of it."""
    name, body = f"ev_{one['seq']}", {"categories": one["categories"]}
    body |= {"end": format_time(one["end"])}
    by = one["doctor"], one["hospital"]
    yield entry_of("consultation.opened", one["seq"], body, stream, by, event=name)
    for kind, seq in (("confirmed", one["confirmed"]), ("closed", one["closed"])):
        if seq is not None:
            yield entry_of(f"consultation.{kind}", seq, {"consultation": name}, stream)


def referral_entries(one: Ask, stream: str) -> Iterator[Entry]:
    """Sent, and how it was answered."""
    body = {
        "key": "k_0",
        "list": [f"{record} 1 bl_0" for record in sorted(one["records"])],
        "to": one["receiver"],
    }
    by = ("ac_sender", one["sender"])
    yield entry_of("referral.sent", one["seq"], body, stream, by, event=one["id"])
    for kind in ("accepted", "declined"):
        if one[kind] is not None:
            by, named = ("ac_receiver", one["receiver"]), {"referral": one["id"]}
            yield entry_of(f"referral.{kind}", one[kind], named, stream, by)


def record_entries(record: Ask, stream: str) -> Iterator[Entry]:
    """A record, and what became of it."""
    members = (
        "category", "clinical_date", "confidentiality", "episode", "labels", "minor_private", "sensitive",
    )  # fmt: skip
    body: Body = {name: record[name] for name in members if record.get(name)}
    blob = {"blob": "bl_0", "sha256": "", "size": 1, "media_type": "text/plain", "version": 1}
    author = record["author"], record["hospital"]
    named = {"record": record["id"]}
    yield entry_of("record.uploaded", record["seq"], body | blob | named, stream, author)
    for turn, seq in enumerate(record["hidings"]):
        yield entry_of("record.shown" if turn % 2 else "record.hidden", seq, named, stream)
    if record["retracted"] is not None:
        yield entry_of("record.retracted", record["retracted"], named, stream, author)
    if record["gone"] is not None:
        name = f"ev_{record['gone']}"
        yield entry_of("erasure.requested", record["gone"], named, stream, event=name)


def form(grant: Ask) -> int:
    """In which version of the event a grant can be said."""
    plain = grant["kind"] != "partial" and not grant["exceptions"]
    return 1 if plain and not grant["grantee"].startswith("gp_") else 2


def granted_body(grant: Ask) -> Body:
    body: Body = {
        "actions": grant["actions"],
        "end": format_time(grant["end"]),
        "grant": grant["id"],
        "grantee": grant["grantee"],
        "purpose": "PATRQT",
        "scope": grant["kind"],
        "start": format_time(grant["start"]),
    }
    optional = {
        "exceptions": grant["exceptions"],
        "labels": grant["codes"],
        "lineage": grant["lineage"] if grant["lineage"] != grant["id"] else None,
        "purposes": grant["purposes"],
        "records": grant["records"],
        "sensitive": grant["sensitive"],
        "uses": grant["uses"],
    }
    if grant["kind"] == "partial":
        body["what"] = grant["what"]
    return body | {name: value for name, value in optional.items() if value}


def entry_of(
    kind: str,
    seq: int,
    body: Body,
    stream: str,
    by: tuple[str, str | None] = ("ac_0", None),
    *,
    decision: Body | None = None,
    v: int = 1,
    time: int = NOW,
    event: str = "",
    role: str = "patient",
) -> Entry:
    """An entry as far as folding looks at it; `by` is an account and the hospital it acts for, else in that `role`."""
    actor, hospital = by
    acting = {"role": "doctor", "hospital": hospital} if hospital else {"role": role}
    said = event_of(actor, acting, kind, body, stream, v, event)
    return Entry(b"", said, Signature("", b""), Link(seq, b"", 0, b""), time, decision)


def event_of(
    actor: str,
    acting: dict[str, str],
    kind: str,
    body: Body,
    stream: str,
    v: int = 1,
    id_: str = "",
) -> Event:
    value = {"actor": actor, "as": acting, "body": body, "id": id_, "stream": stream}
    return Event.checked(b"", value, REGISTRY[kind, v], NOW)


# --- what the product makes of them


def fold(entries: Iterable[Entry], rows: Rows) -> Rows:
    """Rows after these entries."""
    for entry in entries:
        for row in entry.event.type.fold(entry, rows):
            rows.put(row)
    return rows


def rows_of(situation: Situation) -> Rows:
    """The rows of a situation: people and hospitals put, all else folded."""
    rows = Rows()
    rows.put(PolicyRow("", LOG, 0, 0, b64encode(registry_hash()), json.dumps(dict(DEFAULT_POLICY))))
    for account in situation["accounts"]:
        rows.put(Account(account, 0, "operator"))
    for hospital, active in situation["hospitals"].items():
        rows.put(Hospital(hospital, 0, active, True))
    for one in situation["members"]:
        named = one["account"], one["role"], one["hospital"] or ""
        term = one["start"] or 0, one["end"] or 0
        profession = one.get("profession", "")
        rows.put(Member(*named, one["seq"], one["active"], *term, profession))
    related = list(relation_rows(situation))
    for entry in entries_of(situation):
        while related and related[0].seq < entry.link.seq:
            rows.put(related.pop(0))
        fold([entry], rows)
    for one in (*related, *delegation_rows(situation)):
        rows.put(one)
    return rows


def relation_rows(situation: Situation) -> Iterator[Relation]:
    """Relatives and guardians as their entries leave them."""
    for one in sorted(situation.get("relations", []), key=lambda one: int(one["seq"])):
        terms, guards = one["terms"], one["kind"] == "guardian"
        (given, _) = ACCESS_GRANTED.fold(
            entry_of("access.granted", one["seq"], granted_body(terms), f"patient/{situation['chart']}", v=2), Rows()
        )  # fmt: skip
        yield Relation(
            situation["chart"], one["account"], one["kind"], one["seq"], one["ended"] is None, "hs_0" if guards else "",
            () if guards else tuple(one["actions"]), given.scope, given.records, given.labels, given.sensitive,
            given.what, given.exceptions, one["appointed"] + WAIT if guards else one["start"],
            0 if guards else one["end"], *((one["confirmed"] or 0, one["objected"] or 0) if guards else (0, 0)),
        )  # fmt: skip


def delegation_rows(situation: Situation) -> Iterator[Delegation]:
    """Delegations as their entries leave them."""
    for one in situation.get("delegations", []):
        yield Delegation(
            one["hospital"], one["giver"], one["account"], one["seq"], one["ended"] is None,
            tuple(one["actions"]), one["start"], one["end"],
        )  # fmt: skip


def row_of(record: Ask, rows: Rows) -> Record:
    """The record's row."""
    row = rows.get(Record, record["id"])
    assert row is not None
    return row


def policy_row(policy: Ask) -> Policy:
    return Policy.of({**DEFAULT_POLICY, **policy}, 0)


class Case:
    """A situation and a policy as the product has them, ready for questions."""

    def __init__(self, situation: Situation, policy: Ask) -> None:
        """Everything is folded here."""
        self.situation: Situation = {"chart": PATIENT, **situation}
        self.rows, self.policy = rows_of(self.situation), policy_row(policy)

    def asked(self, ask: Ask) -> tuple[Request, Facts]:
        """The question as a request, and the facts for it: those that the gate gathers, and all grants that have ended."""
        acting = {"role": ask["role"]} | ({"hospital": ask["hospital"]} if ask["hospital"] else {})
        event = event_of(
            ask["actor"], acting, "record.opened", {}, f"patient/{self.situation['chart']}"
        )
        known = self.rows.get(Account, ask["actor"]) is not None
        request = Request(
            actor=ask["actor"],
            role=ask["role"],
            hospital=ask["hospital"] or "",
            held=known and holds_role(event, ask["now"], self.rows),
            assurance=ask["assurance"],
            on_behalf_of=ask["on_behalf_of"] or "",
            patient=self.situation["chart"],
            action=ask["action"],
            purpose=ask["purpose"],
            now=ask["now"],
            as_of=AS_OF,
            record=None if ask["record"] is None else self.record(ask["record"]),
            step=ask.get("step") or "",
            about=ask.get("about") or "",
            erasure=erasure_of(ask.get("erasure"), self.situation["chart"]),
        )
        live = gate.gather(request, self.rows)
        grants = tuple(self.rows.all(Grant).values())
        givers = tuple(giver._replace(grants=grants) for giver in live.givers)
        whole = live._replace(grants=grants, givers=givers)
        one, other = (engine.decide(request, facts, self.policy) for facts in (live, whole))
        assert one == other, f"what has ended counts: {one}, {other}: {request}"
        return request, whole

    def record(self, record: Ask) -> Record:
        """The row of one of the situation's records, or of one that it has not."""
        if record in self.situation["records"]:
            return row_of(record, self.rows)
        apart = fold(record_entries(record, f"patient/{self.situation['chart']}"), Rows())
        return row_of(record, apart)

    def decision(self, ask: Ask) -> Decision:
        return engine.decide(*self.asked(ask), self.policy)

    def answer(self, ask: Ask) -> Answer:
        """What the engine says, in the model's terms."""
        return in_words(self.decision(ask))

    def permits(self, ask: Ask) -> bool:
        return self.answer(ask)[0] == "permit"

    def chart(self, ask: Ask) -> tuple[Answer, list[str]]:
        """What the engine says to opening the chart, and the records that it shows."""
        request, facts = self.asked(ask | {"record": None})
        records = self.rows.group(Record, self.situation["chart"])
        decision, shown = engine.decide_list(request, facts, self.policy, records)
        return in_words(decision), [record.record for record in shown]


def erasure_of(asked: Ask | None, chart: str) -> Erasure | None:
    """The erasure that a question would withdraw."""
    if asked is None:
        return None
    seq, due = asked["seq"], asked["due"]
    return Erasure(f"ev_{seq}", chart, "", seq, due, "", 0, asked["state"], asked["state_seq"])


def in_words(decision: Decision) -> Answer:
    basis = tuple(sorted(decision.basis))
    return decision.effect, decision.rule, decision.reason or None, basis
