"""Appends and readings whose answers are proved before they count: see docs/http.md, Trust."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from client import forms, operations
from client.connection import error_of, pieces, understood
from client.operations import Operation
from client.proving import check_decision, check_event, check_kept, check_registered, proved
from client.server import Server, sent_of
from client.sessions import NO_KEPT_KEY, check_signable, held_of, needs_strong
from client.signers import Signed, propose
from client.trust import TrustedLog
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64decode
from crypto.texts import counted
from identity.actors import Actor
from identity.errors import KeyNeeded
from ledger.entry import Entry
from ledger.errors import ProofError, Tampered
from ledger.merkle import HASH_BYTES
from ledger.policies import DEFAULT_POLICY, Policy
from ledger.receipt import Receipt
from people.joining import Registered, Registration


class Verifier:
    """What a server answers, held to the log that is trusted. What fails raises Tampered."""

    def __init__(self, server: Server, trusted: TrustedLog) -> None:
        """Nothing is asked yet."""
        self._server, self._trusted = server, trusted
        self._kept: dict[str, tuple[str, bytes]] = {}

    def signed(self, actor: Actor, *events: Mapping[str, Any]) -> Signed:
        """Events of an actor, signed for this log, or to be signed in the actor's session, after a fresh code where they
        take one; not before the server names the keys that are trusted. Raises KeyNeeded where the service keeps no key."""
        self._trusted.keys()
        held = held_of(actor)
        if held is None:
            return self._server.signed(actor, *events)
        held.token_for(self._server.origin, self._server.connection.url)
        proposal = propose(self._server.origin, actor, events)
        check_signable(held, proposal.events)
        policy = Policy.of({**DEFAULT_POLICY, **self._server.log["policy"]}, 0)
        key, public = self._kept_key(actor)
        if any(needs_strong(event, policy) for event in proposal.events):
            self._server.sure(actor)
        return Signed(proposal, key, public, b"", actor)

    def _kept_key(self, actor: Actor) -> tuple[str, bytes]:
        """The key that the service signs with for an actor, as the log has it: what a signature is held to."""
        found = self._kept.get(actor.account)
        if found is None:
            asked = operations.OWN_KEYS
            told = self._server.ask(asked, None, actor)
            with understood(asked.name):
                kept = next((one for one in asked.codec.decode(told) if one.kept), None)
            if kept is None:
                raise KeyNeeded(NO_KEPT_KEY)
            entry = self.stands(actor, kept.seq)
            found = self._kept[actor.account] = check_kept(entry, actor.account, kept.key)
        return found

    def append(self, signed: Signed, atomic: bool) -> list[int]:
        """Append what was signed; gives the entries' numbers, or raises the first problem."""
        size, events = self._trusted.size(), signed.proposal.events
        params = {"since": str(size)}
        asked: Operation = operations.EVENTS
        sent: Any
        if len(events) == 1:  # which is all or nothing anyway
            sent = sent_of(signed)
        elif signed.session is not None:
            sent = [{"event": event.value} for event in events]
            params = ({"atomic": "true"} if atomic else {}) | params
        else:
            asked, sent = (
                operations.BUNDLES,
                {"events": [e.value for e in events], "sig": signed.sig},
            )
            params = ({"atomic": "true"} if atomic else {}) | params
        answer = self._server.ask(asked, sent, signed.session, params)
        with understood(asked.name):
            problems = [error_of(e["problem"]) for e in answer["entries"] if "problem" in e]
        # What was undone only because of another one comes last, as beside the data.
        if problems:
            raise min(problems, key=lambda error: getattr(error, "code", "") == "atomic")
        return self._appended(signed, size, answer)

    def append_beside(
        self, asked: Operation, signed: Signed, beside: Mapping[str, Any], **names: str
    ) -> int:
        """Append one event by an operation of its own, with what doesn't belong into the log `beside` it."""
        size = self._trusted.size()
        sent, params = sent_of(signed) | dict(beside), {"since": str(size)}
        answer = self._server.ask(asked, sent, signed.session, params, **names)
        return self._appended(signed, size, answer)[0]

    def registered(self, wanted: Registration) -> Registered:
        """Register; the account's key is in the log, as the receipt in the answer proves."""
        self._trusted.keys()
        answer = self._server.ask(operations.REGISTER, forms.REGISTRATION.encode(wanted))
        with understood(operations.REGISTER.name):
            text, found = str(answer["receipt"]).encode(), forms.REGISTERED.decode(answer)
        receipt = _parsed(text)
        entry = proved(receipt, found.seq, self.checkpoint(receipt.checkpoint))
        check_registered(entry, found, wanted)
        return found

    def read(self, asked: Operation, actor: Actor, event: Mapping[str, Any]) -> tuple[Entry, Any]:
        """The entry of a reading of a patient's stream, by the receipt in its answer, and the answer."""
        signed = self.signed(actor, event)
        patient = event["stream"].partition("/")[2]
        answer = self._server.ask(asked, sent_of(signed), signed.session, patient=patient)
        with understood(asked.name):
            text, seq = str(answer["receipt"]).encode(), int(answer["seq"])
        return self._checked(_parsed(text), signed, seq), answer

    def told(self, actor: Actor, signed: Signed, headers: Mapping[str, str]) -> Entry:
        """The entry of a reading that an answer's headers tell of, with the decision that they tell."""
        with understood("headers"):
            seq = int(headers["heartwood-entry"])
            decision = dict(json.loads(headers["heartwood-decision"]))
        entry = self.entry(actor, signed, seq)
        check_decision(entry, decision)
        return entry

    def entry(self, actor: Actor, signed: Signed, seq: int) -> Entry:
        """The entry of a signed reading, by the receipt that the actor gets of it."""
        return self._checked(self._receipt(actor, seq)[0], signed, seq)

    def receipt(self, actor: Actor, seq: int) -> tuple[Receipt, bool]:
        """The receipt of an entry that concerns the actor, and whether it is final."""
        receipt, final = self._receipt(actor, seq)
        proved(receipt, seq, self.checkpoint(receipt.checkpoint))
        return receipt, final

    def stands(self, actor: Actor, seq: int) -> Entry:
        """An entry that concerns the actor, by its receipt."""
        receipt, _ = self._receipt(actor, seq)
        return proved(receipt, seq, self.checkpoint(receipt.checkpoint))

    def keys(self) -> tuple[str, ...]:
        """The log's verifier keys that are trusted."""
        return tuple(map(str, self._trusted.keys()))

    def checkpoint(self, note: bytes) -> Checkpoint:
        """A checkpoint, once it is signed by the log and fits the last one kept."""
        return self._trusted.check(note, self._prove)

    def _appended(self, signed: Signed, size: int, answer: Any) -> list[int]:
        """The numbers of the entries that an answer proves to stand in the log."""
        with understood("append"):
            note = str(answer["checkpoint"]).encode()
            receipts = [_stood(one, note) for one in answer["entries"]]
            proof = _hashes(answer.get("consistency", []))
        if len(receipts) != len(signed.proposal.events):
            told, sent = (
                counted(len(receipts), "entry"),
                counted(len(signed.proposal.events), "event"),
            )
            raise Tampered(f"the server tells of {told}, {sent} sent")

        def prove(old: int, new: int) -> list[bytes]:
            return proof if old == size and proof else self._prove(old, new)

        checkpoint = self._trusted.check(note, prove)
        signatures = signed.signatures()
        for receipt, event, sig in zip(receipts, signed.proposal.raws, signatures, strict=True):
            entry = proved(receipt, receipt.index, checkpoint)
            check_event(entry, event, sig, signed.public, self._server.origin)
        return [receipt.index for receipt in receipts]

    def _receipt(self, actor: Actor, seq: int) -> tuple[Receipt, bool]:
        asked = operations.RECEIPT
        path, headers = asked.at(seq=seq), self._server.bearer(actor)
        with self._server.connection.sent(asked.method, path, headers=headers) as response:
            text = b"".join(pieces(response, asked.limit, path))
            final = response.headers.get("heartwood-receipt") == "final"
        return _parsed(text), final

    def _checked(self, receipt: Receipt, signed: Signed, seq: int) -> Entry:
        entry = proved(receipt, seq, self.checkpoint(receipt.checkpoint))
        (event,), (signature,) = signed.proposal.raws, signed.signatures()
        check_event(entry, event, signature, signed.public, self._server.origin)
        return entry

    def _prove(self, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes, as the server gives it; raises NotThere."""
        answer = self._server.ask(operations.CONSISTENCY, old=old, new=new)
        with understood("consistency"):
            return _hashes(answer["proof"])


def _stood(one: Mapping[str, Any], note: bytes) -> Receipt:
    """An entry in the answer to an append, as its receipt."""
    return Receipt(str(one["entry"]).encode(), int(one["seq"]), tuple(_hashes(one["path"])), note)


def _parsed(text: bytes) -> Receipt:
    try:
        return Receipt.parse(text)
    except ProofError as error:
        raise Tampered(f"the server's {error}") from error


def _hashes(values: Iterable[str]) -> list[bytes]:
    return [b64decode(value, HASH_BYTES) for value in values]
