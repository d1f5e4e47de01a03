"""Bugs of signing in and of mail, planted in a child's process: the kind `people` must find each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from identity import onrecord
from ledger.entry import Entry
from ledger.sequencer import Proposal
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.sql.credentials import Credentials
from tests.deep.append_mutants import Change

_put_with = onrecord.put_with
Changes = Sequence[onrecord.Change]


def _rows_after_entries() -> None:
    def put_with(ledger: Ledger, proposals: Sequence[Proposal], changes: Changes) -> list[Entry]:
        entries = _put_with(ledger, proposals, ())
        with ledger.database.write() as connection:
            for one in changes:
                if not one.make(connection):
                    raise one.otherwise
        return entries

    onrecord.put_with = put_with


def _entries_after_rows() -> None:
    def put_with(ledger: Ledger, proposals: Sequence[Proposal], changes: Changes) -> list[Entry]:
        with ledger.database.write() as connection:
            for one in changes:
                if not one.make(connection):
                    raise one.otherwise
        return _put_with(ledger, proposals, ())

    onrecord.put_with = put_with


def _messages_after_entries() -> None:
    tell, true, late, telling = Outbox.tell, Outbox._put, list[Any](), threading.local()

    def put(box: Outbox, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        if getattr(telling, "now", False):
            late.append((box, rows))
        else:
            true(box, connection, rows)

    def tell_late(box: Outbox, *given: Any) -> None:
        telling.now = True
        try:
            tell(box, *given)
        finally:
            telling.now = False

    def put_with(ledger: Ledger, proposals: Sequence[Proposal], changes: Changes) -> list[Entry]:
        entries = _put_with(ledger, proposals, changes)
        with ledger.database.write() as connection:
            while late:
                box, rows = late.pop()
                true(box, connection, rows)
        return entries

    Outbox._put, Outbox.tell = put, tell_late  # type: ignore[method-assign, assignment]
    onrecord.put_with = put_with


def _codes_not_used_up() -> None:
    Credentials.use_step = lambda *_: True  # type: ignore[method-assign]


_SEND = "people.mailing:MailSender._send"
_SENDS = "post.send(message, contact.address)"


def _marked_before_sent() -> None:
    end = "self._outbox.end(one.id, SENT, moment)"
    Change(_SEND, ((_SENDS, f"{end}; {_SENDS}"),)).make()


def _another_id_each_try() -> None:
    Change("people.mailing:MailSender._message", (("<{one.id}@", "<{one.id}.{one.tries}@"),)).make()


def _tried_uncounted() -> None:
    Change(_SEND, (("elif self._outbox.claim(one, moment + wait):", "else:"),)).make()


SIGN_IN_MUTANTS: dict[str, Callable[[], None]] = {
    "the row is written after the entry": _rows_after_entries,
    "the entry is written after the row": _entries_after_rows,
    "the message is put in after the entry": _messages_after_entries,
    "a code isn't used up": _codes_not_used_up,
}
MAIL_MUTANTS: dict[str, Callable[[], None]] = {
    "the message is marked before it is sent": _marked_before_sent,
    "each try has another Message-ID": _another_id_each_try,
    "a try isn't counted before it is made": _tried_uncounted,
}


def mutate(name: str) -> None:
    """Plant a bug in this process."""
    (SIGN_IN_MUTANTS | MAIL_MUTANTS)[name]()
