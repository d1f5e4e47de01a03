"""What must stand of accounts whose acts were told, in a process that was killed (`sign_ins`).

An account does one thing after the other, so its entries are those of the acts that were told as done, and perhaps those of
the act that was going on; whatever is kept of it beside the log is what those entries say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from identity import passwords
from identity.errors import NotSignedIn
from identity.proving import Proof
from identity.signing_in import SignIn, sign_in_by_password
from ledger.entry import Entry
from ledger.types.sessions import RECOVERY_CODES
from storage.contacts import PROOF
from storage.ledger import Ledger
from storage.outbox import Message
from tests.deep.sign_ins import DID, DOES, SIGNS_OUT
from tests.deep.witness import Lost, Wrong

FIRST = ("factor", "recovery", "session")
"""How the types begin that are about sign-ins."""
MOST_ENTRIES = 1 << 40
"""More than there are."""


@dataclass
class Told:
    """What an account did, as it was told."""

    account: str
    done: list[dict[str, Any]] = field(default_factory=list)
    going: dict[str, Any] | None = None
    """What was going on at the end."""

    @property
    def done_writes(self) -> list[str]:
        """The types of the entries of what was done."""
        return [kind for act in self.done for kind in act["writes"]]


def told_of(lines: Sequence[str]) -> list[Told]:
    """Each account's acts."""
    found: dict[str, Told] = {}
    for line in lines:
        if line.startswith(DOES):
            act = json.loads(line.removeprefix(DOES))
            found.setdefault(act["account"], Told(act["account"])).going = act
        elif line.startswith(DID):
            one = found[line.removeprefix(DID)]
            assert one.going is not None
            one.done.append(one.going)
            one.going = None
    return list(found.values())


def check_account(ledger: Ledger, told: Told) -> None:
    """All that is to be true of an account after a kill; raises Lost or Wrong."""
    entries = agrees(ledger, told.account, told.going)
    names, done = [entry.event.type.name for entry in entries], told.done_writes
    going = told.going["writes"] if told.going else []
    if names not in (done, done + going):
        lost = names[: len(done)] != done
        kind = Lost if lost else Wrong
        raise kind(f"{told.account}: {done} were done, {going} was going on, and {names} stand")
    stood = bool(going) and names == done + going
    password = (told.done or [{"password": ""}])[-1]["password"]
    if told.going is not None:
        password = told.going["password" if stood else "before"]
    kept = ledger.credentials.of(told.account)
    if kept is not None and not passwords.matches(kept.password, password):
        raise Lost(f"{told.account}: the password that was set last isn't kept")
    _shown_again(ledger, told, stood, password)
    agrees(ledger, told.account, told.going)


def _shown_again(ledger: Ledger, told: Told, stood: bool, password: str) -> None:
    """What was shown counts at most once; a recovery code isn't lost either to what came to nothing."""
    going = told.going
    for second in ("code", "recovery"):  # the last one of each: so few failures don't have to wait
        for act in [act for act in told.done if act[second]][-1:]:
            if _lets_in(ledger, act, password):
                raise Wrong(f"{told.account}: the {second} shown to {act['name']} counts twice")
    if going is None or not (going["code"] or going["recovery"]):
        return
    times = stood + sum(_lets_in(ledger, going, password) for _ in range(2))
    if times > 1 or (going["recovery"] and not times):
        raise Wrong(f"{told.account}: what was shown to {going['name']} counts {times} times")


def _lets_in(ledger: Ledger, act: dict[str, Any], password: str) -> bool:
    proof = Proof(password, act["code"], act["recovery"])
    try:
        sign_in_by_password(ledger, SignIn(act["account"], proof, "person"), act["address"])
    except NotSignedIn:
        return False
    return True


def agrees(ledger: Ledger, account: str, going: dict[str, Any] | None = None) -> list[Entry]:
    """What is kept of an account is what its entries say; gives these. Raises Wrong."""
    with ledger.database.read() as connection:
        raws = ledger.store.stream(connection, f"account/{account}", MOST_ENTRIES)
        entries = [
            entry for raw in raws if (entry := Entry.parse(raw)).event.type.name.startswith(FIRST)
        ]
        for what, kept, said in _compared(ledger, connection, account, entries):
            if what == "sessions" and going and going["name"] == SIGNS_OUT and kept != said:
                kept |= {going["session"]}  # it ends at once, and its entry follows
            if kept != said:
                raise Wrong(f"{account}: kept are {what} {kept}, and its entries say {said}")
    return entries


def _compared(
    ledger: Ledger, connection: Connection, account: str, entries: Sequence[Entry]
) -> Iterator[tuple[str, Any, Any]]:
    """What is compared, what the tables have of it, and what the entries say."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        found = connection.exec_driver_sql(ledger.database.sql(statement), (account,))
        return [tuple(row) for row in found]

    sessions, codes, changes, opened_, left = set[str](), False, 0, 0, 0
    messages = list[tuple[str, str, str, bool]]()
    for entry in entries:
        name, body = entry.event.type.name, entry.event.body
        if name == "session.opened":
            opened_ += 1
            sessions.add(body["session"])
        elif name == "session.ended":
            sessions.discard(body["session"])
        elif name == "recovery.used":
            left -= 1
        elif name.startswith("factor"):
            changes += 1
            if body["factor"] == "code":
                codes = name == "factor.added"
                left = RECOVERY_CODES if codes else 0
        if kind := _told_as(entry):
            message = Message(entry.event.id, kind, account, {})
            messages.append((message.id, kind, "", True))
    rows_of_sessions = rows("SELECT session FROM sessions WHERE account = ?")
    yield "sessions", {row[0] for row in rows_of_sessions}, sessions
    kept = rows("SELECT version, acts FROM credentials WHERE account = ?")
    yield "version and acts", kept, [(changes, changes + opened_)] if changes else []
    counts = bool(rows("SELECT 1 FROM factors WHERE account = ? AND since > 0"))
    yield "codes", counts, codes
    recovery = len(rows("SELECT hash FROM recovery_codes WHERE account = ?"))
    yield "recovery codes", recovery, left
    waiting = rows(
        f"SELECT id, kind, outcome, length(sealed) > 0 FROM outbox WHERE account = ? AND kind <> '{PROOF}'"
    )
    found = [(id_, kind, outcome, bool(sealed)) for id_, kind, outcome, sealed in waiting]
    yield "messages", sorted(found), sorted(messages)


def _told_as(entry: Entry) -> str:
    """The kind of message that an entry brings about; empty for none."""
    name, body = entry.event.type.name, entry.event.body
    if name == "recovery.used":
        return "recovery_used"
    if not name.startswith("factor"):
        return ""
    if body.get("reset"):
        return "factors_reset"
    if body["factor"] == "code":
        return "codes_added" if name == "factor.added" else "codes_removed"
    return "password_changed" if body.get("replaces") else "password_set"
