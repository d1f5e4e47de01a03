"""Test vectors that Python and `heartwood-check.js` share: what is checked, and whether it holds or why not.

Each row has a `name`, a `kind`, what is `given`, and `code`: empty where it holds, else the code of the library's CheckError.
`tests/unit/ledger/test_check_vectors.py` runs them through this project's Python, and
`tests/integration/api/portal/test_check_library.py` through the library in a real browser. Everything is signed with Ed25519, so it
comes out the same each time; ML-DSA signatures are random, and those of `receipt.tlog-proof` are tried beside these.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from crypto.encoding import b64encode
from crypto.notes import Cosigner, LogSigner, VerifierKey, signature_line
from crypto.signing import SigningKey
from ledger.chain import ZERO, Link
from ledger.checkpoint import Checkpoint
from ledger.entry import Entry
from ledger.event import Event, sign_event
from ledger.histories import history_text
from ledger.merkle import consistency_proof, inclusion_path, leaf_hash, node_hash, range_hash
from ledger.receipt import Receipt

Row = dict[str, Any]
ORIGIN = "log.example/golden"
OTHER_ORIGIN = "log.example/other"
KNOWN_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
WORDS = (
    "one", "two", "three", "four", "five", "six", "seven", "eit", "nain", "ten", "ileven", "twelf",
    "threeten", "fourten", "fivten",
)  # fmt: skip
"""The entries of the known answers in docs/formats.md, of which 15 roots stand there."""
COSIGNED_AT = 1_795_159_450
"""Unix seconds."""


def rows(seed: Callable[[str], bytes], events: Sequence[dict[str, Any]], decision: dict[str, Any], time: int) -> list[Row]:  # fmt: skip
    """All rows. `events`: those of a patient's stream in their order; `time`: of their entries, Unix ms."""
    return [
        *_hashes(), *_proofs(), *_Signed(seed).rows(), *_Histories(seed, events, decision, time).rows(),
    ]  # fmt: skip


def _row(name: str, kind: str, code: str, **given: Any) -> Row:
    return {"code": code, "given": given, "kind": kind, "name": name}


def tree(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """The nodes of the tree over leaf hashes, as `ledger.merkle` asks for them."""

    def node(level: int, index: int) -> bytes:
        if not level:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def _b64(path: Sequence[bytes]) -> list[str]:
    return [b64encode(one) for one in path]


def _flipped(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _hashes() -> list[Row]:
    leaf, node = leaf_hash(b"L123456"), node_hash(b"N123", b"N456")
    return [
        _row("a leaf's known answer", "leaf", "", data="L123456", hash=leaf.hex()),
        _row("a node's known answer", "node", "", left="N123", right="N456", hash=node.hex()),
    ]


def _proofs() -> list[Row]:
    leaves = [leaf_hash(word.encode()) for word in WORDS]
    node = tree(leaves)
    root = {size: range_hash(0, size, node) for size in range(1, len(WORDS) + 1)}
    out = []
    for size in root:
        for index in sorted({0, size // 2, size - 1}):
            out.append(
                _row(
                    f"entry {index} of {size}", "inclusion", "", index=index, size=size, entry=WORDS[index],
                    path=_b64(inclusion_path(index, size, node)), root=b64encode(root[size]),
                )
            )  # fmt: skip
    good = out[-2]["given"]  # entry 7 of 15
    wrong = [b64encode(_flipped(bytes(32))), *good["path"][1:]]
    out += [
        _row("another entry", "inclusion", "root", **good | {"entry": "seven"}),
        _row("another index of the same path length", "inclusion", "root", **good | {"index": 6}),
        _row("a path that is too short", "inclusion", "path", **good | {"path": good["path"][:-1]}),
        _row("a path that is too long", "inclusion", "path", **good | {"path": [*good["path"], good["path"][0]]}),
        _row("another hash in the path", "inclusion", "root", **good | {"path": wrong}),
        _row("another root", "inclusion", "root", **good | {"root": b64encode(root[14])}),
        _row("an index that is the size", "inclusion", "path", **good | {"index": 15}),
    ]  # fmt: skip
    for old, new in ((1, 1), (1, 15), (4, 8), (5, 15), (6, 7), (8, 15), (14, 15), (15, 15)):
        out.append(
            _row(
                f"from {old} to {new}", "consistency", "", old=old, new=new, old_root=b64encode(root[old]),
                new_root=b64encode(root[new]), proof=_b64(consistency_proof(old, new, node)),
            )
        )  # fmt: skip
    good = next(one for one in out if one["name"] == "from 5 to 15")["given"]
    short, long = good["proof"][:-1], [*good["proof"], good["proof"][0]]
    other = [b64encode(_flipped(bytes(32))), *good["proof"][1:]]
    equal = {"old": 15, "old_root": b64encode(root[14]), "proof": []}
    return [
        *out,
        _row("a proof that is too short", "consistency", "path", **good | {"proof": short}),
        _row("a proof that is too long", "consistency", "path", **good | {"proof": long}),
        _row("an empty proof", "consistency", "path", **good | {"proof": []}),
        _row("another hash in the proof", "consistency", "consistency", **good | {"proof": other}),
        _row("another old root", "consistency", "consistency", **good | {"old_root": b64encode(root[6])}),
        _row("another new root", "consistency", "consistency", **good | {"new_root": b64encode(root[14])}),
        _row("two logs of one size", "consistency", "consistency", **good | equal),
        _row("a proof from a size to itself", "consistency", "path", **good | equal | {"old_root": good["new_root"], "proof": short}),
        _row("from nothing", "consistency", "path", **good | {"old": 0}),
        _row("backwards", "consistency", "path", **good | {"old": 15, "new": 5}),
    ]  # fmt: skip


class _Keys:
    """The log's Ed25519 key, another log's, and witnesses'."""

    def __init__(self, seed: Callable[[str], bytes]) -> None:
        self.log, self.log_secret = self._log(ORIGIN, seed("log"), seed("log, ML-DSA"))
        self.other, self.other_secret = self._log(OTHER_ORIGIN, seed("other log"), seed("log, ML-DSA"))  # fmt: skip
        self.stranger, self.stranger_secret = self._log(ORIGIN, seed("stranger"), seed("log, ML-DSA"))  # fmt: skip
        self.witnesses = [
            Cosigner(f"witness.example/{one}", seed(f"witness {one}"), seed(f"witness {one}, ML-DSA"))
            for one in ("a", "b", "c")
        ]  # fmt: skip

    def _log(self, name: str, secret: bytes, ml_dsa: bytes) -> tuple[VerifierKey, SigningKey]:
        return LogSigner(name, secret, ml_dsa).keys[0], SigningKey(secret)

    def note(self, checkpoint: Checkpoint) -> bytes:
        """A checkpoint that the log signed."""
        text = checkpoint.text()
        return text + b"\n" + signature_line(self.log, self.log_secret.sign(text))

    def cosigned(self, note: bytes, *which: int) -> bytes:
        """A note with the Ed25519 lines of some witnesses."""
        text = note.rpartition(b"\n\n")[0] + b"\n"
        lines = (self.witnesses[one].cosign(text, COSIGNED_AT).splitlines(True)[0] for one in which)
        return note + b"".join(lines)

    def policy(self, quorum: str = "two") -> str:
        """Two of three witnesses."""
        named = "".join(f"witness {one.keys[0].name[-1]} {one.keys[0]}\n" for one in self.witnesses)
        return f"log {self.log}\n{named}group two 2 a b c\nquorum {quorum}\n"


class _Signed:
    """Checkpoints and policies."""

    def __init__(self, seed: Callable[[str], bytes]) -> None:
        self.keys = _Keys(seed)
        self.checkpoint = Checkpoint(ORIGIN, 7, seed("a root"))
        self.note = self.keys.note(self.checkpoint)

    def rows(self) -> list[Row]:
        """All rows."""
        return [*self._checkpoints(), *self._malformed(), *self._policies()]

    def _checkpoints(self) -> list[Row]:
        keys, note, log = self.keys, self.note, [str(self.keys.log)]
        stranger = signature_line(keys.stranger, keys.stranger_secret.sign(self.checkpoint.text()))
        text = self.checkpoint.text()
        other = Checkpoint(OTHER_ORIGIN, 7, self.checkpoint.root).text()
        under = other + b"\n" + signature_line(keys.log, keys.log_secret.sign(other))
        empty = keys.note(Checkpoint(ORIGIN, 0, self.checkpoint.root))
        both = [str(keys.log), str(keys.stranger)]
        return [
            _row("a checkpoint", "checkpoint", "", note=note.decode(), keys=log),
            _row("with a line of an unknown key", "checkpoint", "", note=(note + stranger).decode(), keys=log),
            _row("cosigned", "checkpoint", "", note=keys.cosigned(note, 0, 1, 2).decode(), keys=log),
            _row("by both keys", "checkpoint", "", note=(note + stranger).decode(), keys=both),
            _row("an altered size", "checkpoint", "signature", note=note.replace(b"\n7\n", b"\n8\n").decode(), keys=log),
            _row("an altered root", "checkpoint", "signature", note=note.replace(text[-46:-40], b"\nAAAAA").decode(), keys=log),
            _row("a wrong signature", "checkpoint", "signature", note=self._damaged(), keys=log),
            _row("a short signature", "checkpoint", "signature", note=(text + b"\n" + signature_line(keys.log, bytes(63))).decode(), keys=log),
            _row("by a stranger alone", "checkpoint", "unsigned", note=(text + b"\n" + stranger).decode(), keys=log),
            _row("by one of two keys", "checkpoint", "unsigned", note=note.decode(), keys=both),
            _row("another origin, signed by the key", "checkpoint", "origin", note=under.decode(), keys=log),
            _row("an empty log with another root", "checkpoint", "root", note=empty.decode(), keys=log),
            _row("keys of two logs", "checkpoint", "keys", note=note.decode(), keys=[*log, str(keys.other)]),
            _row("one key twice", "checkpoint", "keys", note=note.decode(), keys=log * 2),
            _row("a key with another id", "checkpoint", "keys", note=note.decode(), keys=[_other_id(log[0])]),
            _row("the known key, which has not signed", "checkpoint", "unsigned", note=note.decode(), keys=[KNOWN_KEY]),
        ]  # fmt: skip

    def _damaged(self) -> str:
        signature = self.keys.log_secret.sign(self.checkpoint.text())
        line = signature_line(self.keys.log, _flipped(signature, 40))
        return (self.checkpoint.text() + b"\n" + line).decode()

    def _malformed(self) -> list[Row]:
        keys, note, log = self.keys, self.note.decode(), [str(self.keys.log)]
        head, _, line = note.partition("\n\n")
        signed = self._signed_text
        return [
            _row("without an empty line", "checkpoint", "malformed", note=f"{head}\n{line}", keys=log),
            _row("without signatures", "checkpoint", "malformed", note=f"{head}\n\n", keys=log),
            _row("without a last newline", "checkpoint", "malformed", note=note[:-1], keys=log),
            _row("with carriage returns", "checkpoint", "malformed", note=note.replace("\n", "\r\n"), keys=log),
            _row("with a hyphen for the dash", "checkpoint", "malformed", note=note.replace("—", "-"), keys=log),
            _row("with padding left out", "checkpoint", "malformed", note=note.rstrip("=\n") + "\n", keys=log),
            _row("with a fourth line", "checkpoint", "malformed", note=signed(f"{head}\nmore\n"), keys=log),
            _row("with a leading zero", "checkpoint", "malformed", note=signed(f"{head}\n".replace("\n7\n", "\n07\n")), keys=log),
            _row("with a root of 31 bytes", "checkpoint", "malformed", note=signed(f"{ORIGIN}\n7\n{b64encode(bytes(31))}\n"), keys=log),
            _row("with an origin of ours", "checkpoint", "malformed", note=signed(f"heartwood/x\n7\n{b64encode(bytes(32))}\n"), keys=log),
            _row("with 65 signature lines", "checkpoint", "malformed", note=note + line * 64, keys=log),
            _row("with two lines of one key", "checkpoint", "", note=note + line, keys=log),
            _row("a control character", "checkpoint", "malformed", note=signed(f"{head}\x07\n"), keys=log),
            _row("no key at all", "checkpoint", "keys", note=note, keys=[]),
            _row("what is no key", "checkpoint", "keys", note=note, keys=["log.example/golden"]),
            _row("a witness's key", "checkpoint", "keys", note=note, keys=[str(keys.witnesses[0].keys[0])]),
        ]  # fmt: skip

    def _signed_text(self, text: str) -> str:
        line = signature_line(self.keys.log, self.keys.log_secret.sign(text.encode()))
        return f"{text}\n{line.decode()}"

    def _policies(self) -> list[Row]:
        keys, log = self.keys, [str(self.keys.log)]
        two, one = keys.cosigned(self.note, 0, 2).decode(), keys.cosigned(self.note, 1).decode()
        altered = two.replace(f"\n{self.checkpoint.size}\n", "\n8\n")
        policy = keys.policy()
        own = f"witness log {_as_witness(keys.log)}\nquorum log\n"
        given = {"keys": log, "note": two, "policy": policy}
        return [
            _row("two of three witnesses", "policy", "", **given | {"signed": ["a", "c"]}),
            _row("no quorum", "policy", "", **given | {"note": self.note.decode(), "policy": keys.policy("none"), "signed": []}),
            _row("one witness of three", "policy", "quorum", **given | {"note": one}),
            _row("no witness", "policy", "quorum", **given | {"note": self.note.decode()}),
            _row("cosignatures of another text", "policy", "signature", **given | {"note": altered}),
            _row("a policy of another log", "policy", "origin", **given | {"policy": policy.replace(log[0], str(keys.other))}),
            _row("the log as its own witness", "policy", "keys", **given | {"policy": own}),
            _row("a policy without a quorum", "policy", "malformed", **given | {"policy": policy.replace("quorum two\n", "")}),
            _row("a quorum that nothing defines", "policy", "malformed", **given | {"policy": keys.policy("x")}),
            _row("a group of too few", "policy", "malformed", **given | {"policy": policy.replace("two 2 a", "two 4 a")}),
            _row("a member twice", "policy", "malformed", **given | {"policy": policy.replace("2 a b c", "2 a b b")}),
            _row("a policy without a last newline", "policy", "malformed", **given | {"policy": policy[:-1]}),
        ]  # fmt: skip


def _other_id(key: str) -> str:
    name, id_, rest = key.split("+", 2)
    return f"{name}+{'0' if id_[0] != '0' else '1'}{id_[1:]}+{rest}"


def _as_witness(key: VerifierKey) -> VerifierKey:
    return VerifierKey("witness.example/log", 4, key.public)


class _Histories:
    """A patient's stream among the entries of others, and the receipt of its last entry."""

    def __init__(
        self, seed: Callable[[str], bytes], events: Sequence[dict[str, Any]], decision: dict[str, Any], time: int,
        gap: int = 0,
    ) -> None:  # fmt: skip
        self.keys, self.decision, self.time = _Keys(seed), decision, time
        self.gap = gap
        self.made = (seed, events, decision, time)
        self.signer = SigningKey(seed("patient"))
        self.log, self.stream = list[bytes](), list[bytes]()
        for event in events:
            self.log.append(f"an entry of somebody else, {len(self.log)}".encode())
            self._append(event)
        self.log.append(b"a later entry of somebody else")

    def _append(self, value: dict[str, Any]) -> None:
        entry = self.entry(value)
        self.log.append(entry.raw)
        self.stream.append(entry.raw)

    def entry(self, value: dict[str, Any]) -> Entry:
        """The next entry of log and stream."""
        event, seq = Event.of(value), len(self.log)
        sig = sign_event(self.signer, ORIGIN, event.raw)
        before = leaf_hash(self.stream[-1]) if self.stream else ZERO
        number = len(self.stream) + (self.gap if self.stream else 0)
        link = Link(seq, leaf_hash(self.log[-1]), number, before)
        decision = self.decision | {"as_of": seq - 1, "basis": [0]} if event.type.gated else None
        return Entry.make(event, sig, link, self.time + seq, decision)

    def rows(self) -> list[Row]:
        """All rows."""
        return [*self._receipts(), *self._chains()]

    def receipt(self, index: int, log: Sequence[bytes] = (), origin: str = ORIGIN) -> Receipt:
        """The receipt of an entry of a log, by default of this one."""
        leaves = [leaf_hash(one) for one in log or self.log]
        node = tree(leaves)
        checkpoint = Checkpoint(origin, len(leaves), range_hash(0, len(leaves), node))
        path = tuple(inclusion_path(index, len(leaves), node))
        note = self.keys.cosigned(self.keys.note(checkpoint), 0, 1)
        return Receipt((log or self.log)[index], index, path, note)

    def _receipts(self) -> list[Row]:
        index = len(self.log) - 2
        good, log = self.receipt(index), [str(self.keys.log)]
        text = good.text().decode()
        given: Row = {"keys": log, "policy": self.keys.policy(), "receipt": text}

        def of(entry: bytes = good.entry, at: int = index, path: Sequence[bytes] = good.path, note: bytes = good.checkpoint) -> Row:  # fmt: skip
            return given | {"receipt": Receipt(entry, at, tuple(path), note).text().decode()}

        altered = good.entry.replace(b'"time":"2026', b'"time":"2027')
        assert altered != good.entry
        other = self.receipt(index, [*self.log[:-1], b"another log"]).checkpoint
        misplaced = self.receipt(1, [b"x", good.entry])
        spaced = self.receipt(0, [good.entry.replace(b'","', b'", "', 1)])
        return [
            _row("a receipt", "receipt", "", **given),
            _row("an altered byte", "receipt", "root", **of(altered)),
            _row("a path that is cut", "receipt", "path", **of(path=good.path[:-1])),
            _row("another number", "receipt", "root", **of(at=index ^ 1)),
            _row("under another log's root", "receipt", "root", **of(note=other)),
            _row("an entry at another's number", "receipt", "path", **of(misplaced.entry, 1, misplaced.path, misplaced.checkpoint)),
            _row("an entry that is not canonical", "receipt", "malformed", **of(spaced.entry, 0, spaced.path, spaced.checkpoint)),
            _row("no entry", "receipt", "malformed", **given | {"receipt": self.receipt(0).text().decode()}),
            _row("a wrong signature on a receipt", "receipt", "signature", **given | {"receipt": text.replace(f"\n{len(self.log)}\n", "\n99\n")}),
            _row("a receipt of another origin", "receipt", "unsigned", **given | {"keys": [str(self.keys.other)], "policy": ""}),
            _row("too few witnesses on a receipt", "receipt", "quorum", **given | {"policy": self.keys.policy().replace("two 2 a", "two 3 a")}),
            _row("another first line", "receipt", "malformed", **given | {"receipt": text.replace("@v1", "@v2")}),
            _row("without the entry", "receipt", "malformed", **given | {"receipt": "\n".join(one for one in text.split("\n") if not one.startswith("extra "))}),
            _row("a number with a sign", "receipt", "malformed", **given | {"receipt": text.replace("index ", "index +")}),
            _row("a hash of 31 bytes", "receipt", "malformed", **of(path=[good.path[0][:31], *good.path[1:]])),
            _row("64 hashes", "receipt", "malformed", **of(path=[bytes(32)] * 64)),
        ]  # fmt: skip

    def _chains(self) -> list[Row]:
        index, log = len(self.log) - 2, [str(self.keys.log)]
        receipt, stream = self.receipt(index).text(), self.stream
        altered = stream[1].replace(b'"category":"laboratory"', b'"category":"imaging"')
        assert altered != stream[1]
        earlier = self.receipt(index - 2).text()
        forged = self._forged(altered)
        skips = _Histories(*self.made, gap=1)

        def of(entries: Sequence[bytes], proof: bytes = receipt) -> Row:
            return {"keys": log, "policy": "", "proof": history_text(entries, proof)}

        return [
            _row("a history", "history", "", **of(stream)),
            _row("a missing entry", "history", "chain", **of([*stream[:1], *stream[2:]])),
            _row("the first entry missing", "history", "chain", **of(stream[1:])),
            _row("the last entry cut off", "history", "chain", **of(stream[:-1])),
            _row("cut off, with the receipt of the one before", "history", "", **of(stream[:-1], earlier)),
            _row("two entries swapped", "history", "chain", **of([stream[0], stream[2], stream[1], *stream[3:]])),
            _row("an entry twice", "history", "chain", **of([stream[0], *stream])),
            _row("an altered entry", "history", "chain", **of([stream[0], altered, *stream[2:]])),
            _row("altered, with a chain made anew", "history", "chain", **of(forged)),
            _row("the receipt of another entry", "history", "chain", **of(stream, earlier)),
            _row("a number that the log left out", "history", "chain", **of(skips.stream, skips.receipt(index).text())),
            _row("an entry that is none", "history", "malformed", **of([b"{}", *stream[1:]])),
            _row("no proof of a history", "history", "malformed", keys=log, policy="", proof='{"entries": []}'),
        ]  # fmt: skip

    def _forged(self, altered: bytes) -> list[bytes]:
        """The stream with an altered entry, and each later one's `stream_prev` made to fit: the last isn't the receipt's."""
        out = [self.stream[0], altered]
        for raw, before in zip(self.stream[2:], self.stream[1:-1], strict=True):
            old, new = (b64encode(leaf_hash(one)).encode() for one in (before, out[-1]))
            out.append(raw.replace(old, new))
        return out


def vectors(seed: Callable[[str], bytes], events: Sequence[dict[str, Any]], decision: dict[str, Any], time: int) -> bytes:  # fmt: skip
    """The file."""
    found = rows(seed, events, decision, time)
    assert len({one["name"] for one in found}) == len(found)
    return (
        json.dumps({"vectors": found}, indent=1, ensure_ascii=False, sort_keys=True).encode()
        + b"\n"
    )
