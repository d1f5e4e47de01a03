"""The batch as a state machine: proposals in, entries out, each decided on the facts before it.

Pure. The store loads what the batch needs into `look`, calls `admit` for each proposal in order, and
writes what came of it in one transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from crypto.encoding import b64decode, b64encode
from crypto.signing import SigningKey
from ledger.chain import Chain
from ledger.directory import Key, Patient
from ledger.editions import STRICTER
from ledger.entry import Entry
from ledger.errors import EventError, Refused
from ledger.event import Event, Signature, sign_event
from ledger.merkle import Frontier, leaf_hash
from ledger.policies import edition_in_force, policy_at
from ledger.refusals import REFUSALS_A_KEY, Refusals
from ledger.rows import Look, Name, Row, Rows
from ledger.signers import check_edition, check_event, created_ids, known_key
from ledger.times import check_days, format_time
from ledger.types import fold


class Proposal(NamedTuple):
    """A parsed event whose signature was checked, and the stream length its author expects, if any."""

    event: Event
    sig: Signature
    expect: int | None = None
    session: int | None = None
    """The entry of the sign-in in which the service signed it, with a key that it keeps."""


class Appended(NamedTuple):
    """The proposal stands in the log; `fresh` is False for a known id, answered with its first entry."""

    entry: Entry
    fresh: bool = True
    shown: tuple[Row, ...] = ()
    """The records that a permitted reading shows, as of its entry; nothing to a known id."""
    masked: tuple[Row, ...] = ()
    """Those of which it shows that they are there, and no more."""


class Judged(NamedTuple):
    """The gate's answer: the decision as its entry holds it, and the records that a reading would show."""

    decision: dict[str, Any]
    shown: tuple[Row, ...] = ()
    masked: tuple[Row, ...] = ()
    """Those of which it would show that they are there, and no more."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The gate denied; `decision` is the true one. Where the refusal stands in the log, it is entry `seq`."""

    decision: dict[str, Any]
    seq: int | None = None
    purpose: str = ""
    """What was asked for it."""
    action: str = ""
    """What was asked."""


Outcome = Appended | Denied | Refused
Gate = Callable[[Event, Key, int, int, Look, int | None], Judged]
"""`gate(event, key, seq, time, look, session)`: the decision on a gated event."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a batch is decided by, beside what is declared of each type: the log's origin and the gate."""

    origin: str
    gate: Gate


@dataclass
class Batch:
    """One batch on top of `chain` and `frontier`; `look` holds the rows it needs and takes its changes."""

    rules: Rules
    chain: Chain
    frontier: Frontier
    look: Rows
    now: int
    """The process's clock, Unix ms."""
    service: tuple[str, SigningKey] | None
    """Account and key that sign refusals; None only while entry 0 is written."""
    new_event_id: Callable[[], str]
    claim: Callable[[Event], None]
    """Checks the staged keys that an event names; raises Refused if one is not there."""
    known: Callable[[str], Entry | None]
    """The entry that holds an event id, also inside a refusal."""
    entries: list[Entry] = field(default_factory=list)
    nodes: list[tuple[int, bytes]] = field(default_factory=list)
    """(level, hash) of every new node of the tree, leaves first, in order."""
    changes: dict[Name, Row] = field(default_factory=dict)
    fresh: set[Name] = field(default_factory=set)
    """Which of the changes are rows that were not there before."""
    policies: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The policy in force by the time it was asked for; asked anew after an entry that sets one."""
    ids: dict[str, int] = field(default_factory=dict)
    """Event ids used by this batch (also those inside refusals) and their entry."""

    def admit(self, proposal: Proposal) -> Outcome:
        """Decide one proposal and append what comes of it; never raises for bad input."""
        try:
            return self._admit(proposal)
        except Refused as refusal:
            return refusal
        except EventError as error:
            return Refused("malformed", str(error))

    def refuse(self, proposal: Proposal) -> Outcome:
        """Append the refusal of an attempt that was denied in an all-or-nothing call, which was undone.

        As one by itself: what would have stood before it in the call doesn't, so it is decided once more, and the length of
        its stream that it expected counts for nothing. What is permitted now isn't appended, and refused as `atomic`.
        """
        event = proposal.event
        try:
            known = self._known(event.id)
            if known is not None:
                return self._again(event, known)
            time = self._dated(event)
            judged = self._judge(proposal, self.chain.next(event.stream).seq, time)
            if judged is None or judged.decision["effect"] != "deny":
                return Refused("atomic", "not appended: it was part of an all-or-nothing call")
            return self._deny(event, proposal.sig, judged.decision, time)
        except Refused as refusal:
            return refusal

    def _admit(self, proposal: Proposal) -> Outcome:
        event, sig = proposal.event, proposal.sig
        known = self._known(event.id)
        if known is not None:
            return self._again(event, known)
        check_days(event.body)
        time = self._dated(event)
        link = self.chain.next(event.stream)
        if proposal.expect is not None and proposal.expect != link.stream_seq:
            raise Refused("conflict", f"got the expected length {proposal.expect} of {event.stream}, "
                          f"which has {link.stream_seq} entries")  # fmt: skip
        if event.type.name == "access.refused":
            raise Refused("role", "access.refused is written by the log itself")
        # Before anything else is looked at: whoever may not do it is told no more, and the attempt is recorded.
        judged = self._judge(proposal, link.seq, time)
        if judged is not None and judged.decision["effect"] == "deny":
            return self._deny(event, sig, judged.decision, time)
        ids = check_event(event, sig.key, link.seq, time, self.rules.origin, self.look)
        self._check_facts(event)
        if event.type.name == "ledger.restored":
            self._check_restored(event)
        entry = Entry.make(event, sig, link, time, judged and judged.decision)
        self.claim(event)
        shown, masked = ((), ()) if judged is None else (judged.shown, judged.masked)
        return Appended(self._take(entry, ids), True, shown, masked)

    def _dated(self, event: Event) -> int:
        """The time of the next entry, Unix ms; raises Refused where the author's clock is too far from it."""
        time = max(self.now, self.chain.time)
        skew = self._policy(event, time)["clock_skew_ms"]
        if abs(event.at - time) > skew:
            raise Refused("clock", f"got at = {event.value['at']}, expected within "
                          f"{skew} ms of {format_time(time)}")  # fmt: skip
        return time

    def _judge(self, proposal: Proposal, seq: int, time: int) -> Judged | None:
        """The gate's answer; None for what is not gated. Raises Refused for a key that no entry registered for its actor."""
        event = proposal.event
        if not event.type.gated:
            return None
        key = known_key(event, proposal.sig.key, self.look)
        check_edition(event, self.look)
        return self.rules.gate(event, key, seq, time, self.look, proposal.session)

    def _policy(self, event: Event, time: int) -> dict[str, Any]:
        """The policy in force; of entry 0 its own."""
        if not self.chain.size and "policy" in event.body:
            return cast(dict[str, Any], event.body["policy"])
        policy = self.policies.get(time)
        if policy is None:
            try:
                policy = self.policies[time] = policy_at(self.look, time).policy
            except LookupError as error:
                raise Refused("stream", "got an event for a log without entry 0") from error
        return policy

    def _known(self, event_id: str) -> Entry | None:
        seq = self.ids.get(event_id)
        if seq is not None:
            return self.entries[seq - self.entries[0].link.seq]
        return self.known(event_id)

    def _again(self, event: Event, entry: Entry) -> Outcome:
        """The same bytes get their first answer; other bytes under a known id are a conflict."""
        if entry.event.raw == event.raw:
            return Appended(entry, fresh=False)
        if entry.event.type.name == "access.refused" and entry.event.body["event"] == event.value:
            assert entry.decision is not None
            purpose = event.body["purpose"]
            return Denied(entry.decision, entry.link.seq, purpose, str(event.type.action))
        raise Refused(
            "conflict", f"got other bytes under the event id {event.id} of entry {entry.link.seq}"
        )

    def _check_facts(self, event: Event) -> None:
        event.type.facts_rule(event, self.look)

    def _check_restored(self, event: Event) -> None:
        """What goes on from another size or root than the log has would never verify again."""
        body, tree = event.body, self.frontier
        if body["size"] != tree.size or b64decode(body["root"], 32) != tree.root():
            raise Refused("conflict", f"got ledger.restored from {body['size']} entries, expected size and root "
                          f"of the log as it stands, {tree.size} entries")  # fmt: skip

    def _deny(self, event: Event, sig: Signature, decision: dict[str, Any], time: int) -> Outcome:
        """A denied attempt on a patient who is known is itself appended, within the limits of refusals.

        Before STRICTER, of what S0 doesn't deny and of readings alone.
        """
        purpose, action, v = event.body["purpose"], str(event.type.action), 2
        if edition_in_force(self.look) < STRICTER:
            v = 1
            if not event.type.reading or decision["rule"] == "S0":
                return Denied(decision, None, purpose, action)
        if self.look.get(Patient, event.subject) is None:
            return Denied(decision, None, purpose, action)
        most = self._policy(event, time)["refusals_per_hour"]
        counts = [(self._refusals(event.subject, event.actor, time), most)]
        if v > 1:
            counts.append((self._refusals("", sig.key, time), REFUSALS_A_KEY))
        row = counts[0][0]
        if any(len(count.times) >= limit for count, limit in counts):
            self._put(row._replace(skipped=row.skipped + 1))
            return Refused("too_many_refusals", "too many refusals within an hour; try again later")
        try:
            refusal = self._refusal(event, sig, row.skipped, time, v)
            signature = sign_event(self._service()[1], self.rules.origin, refusal.raw)
            link = self.chain.next(event.stream)
            entry = Entry.make(refusal, signature, link, time, decision)
        except EventError:  # it doesn't fit into an entry
            return Denied(decision, None, purpose, action)
        self._take(entry, created_ids(refusal, self.look))
        for count, _ in counts:
            self._put(count._replace(times=(*count.times, time), skipped=0))
        return Denied(decision, entry.link.seq, purpose, action)

    def _refusals(self, patient: str, actor: str, time: int) -> Refusals:
        row = self.look.get(Refusals, patient, actor) or Refusals(patient, actor, (), 0)
        return row.at(time)

    def _service(self) -> tuple[str, SigningKey]:
        assert self.service is not None  # nothing is refused in a log without entry 0
        return self.service

    def _refusal(self, event: Event, sig: Signature, skipped: int, time: int, v: int) -> Event:
        """The `access.refused` that nests a denied event; raises EventError if it is too large."""
        body: dict[str, Any] = {"event": event.value, "sig": sig.json()}
        return Event.of(
            {
                "actor": self._service()[0],
                "as": {"role": "service"},
                "at": format_time(time),
                "body": body | ({"skipped": skipped} if skipped else {}),
                "id": self.new_event_id(),
                "stream": event.stream,
                "type": "access.refused",
                "v": v,
            }
        )

    def _take(self, entry: Entry, ids: list[str]) -> Entry:
        """Chain, hash and fold one entry; nothing may fail from here on."""
        event, link = entry.event, entry.link
        leaf = leaf_hash(entry.raw)
        self.chain.extend(event.stream, link, leaf, entry.time)
        self.frontier.append(leaf, self.nodes)
        self.entries.append(entry)
        self.ids[event.id] = link.seq
        if event.type.name == "access.refused":
            self.ids[event.body["event"]["id"]] = link.seq
        elif event.type.name == "policy.changed":
            self.policies.clear()
        self.look.ids.update(ids)
        for row in fold(entry, self.look):
            self._put(row)
        return entry

    def _put(self, row: Row) -> None:
        name, new = self.look.put(row)
        if new:
            self.fresh.add(name)
        self.changes[name] = row


def ledger_created(
    origin: str,
    log_keys: Sequence[str],
    operator: tuple[str, SigningKey],
    service: tuple[str, SigningKey],
    policy: dict[str, Any],
    registry: bytes,
    event_id: str,
    now: int,
) -> Event:
    """Entry 0's event: origin, the log's verifier keys, operator, service, policy, registry hash."""
    people = {
        role: {"account": account, "key": key.id, "public_key": b64encode(key.public)}
        for role, (account, key) in (("operator", operator), ("service", service))
    }
    return Event.of(
        {
            "actor": operator[0],
            "as": {"role": "operator"},
            "at": format_time(now),
            "body": {
                "log_keys": list(log_keys),
                "origin": origin,
                "policy": policy,
                "registry": b64encode(registry),
                **people,
            },
            "id": event_id,
            "stream": "ledger",
            "type": "ledger.created",
            "v": 1,
        }
    )
