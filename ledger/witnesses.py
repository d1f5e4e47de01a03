"""Witness policies (C2SP tlog-policy): whose cosignatures a checkpoint must carry. Pure."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from crypto.encoding import decimal
from crypto.errors import CryptoError, FormError, NoteError
from crypto.notes import (
    ED25519,
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    Note,
    VerifierKey,
)
from ledger.errors import ProofError

NONE = "none"
"""The quorum that demands no cosignature."""
_LOG_KINDS = (ED25519, ML_DSA_44_COSIGNATURE)
_WITNESS_KINDS = (ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE)
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]").search
_SPACE = re.compile("[ \t]+")


@dataclass(frozen=True, slots=True)
class Group:
    """So many of the members, which are witnesses or groups, must have cosigned."""

    needed: int
    members: tuple[str, ...]


@dataclass
class WitnessPolicy:
    """A parsed policy file: the logs it is about, its witnesses and groups by name, and its quorum."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    """Where witnesses are asked, by name: the prefix before `/add-checkpoint`. Verifiers need none."""
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""
    _members: set[str] = field(default_factory=set)

    @classmethod
    def parse(cls, data: bytes) -> "WitnessPolicy":
        """Read a policy file strictly; raises FormError, which names the line."""
        policy, number = cls(), 0
        if _CONTROL(data):
            raise FormError("policy: got a control character other than tab and newline")
        # Names are octets to the page: what is no UTF-8 stays apart from all that is.
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        if lines.pop():
            raise FormError("policy: got a last line without a newline")
        for number, line in enumerate(lines, 1):
            words = [word for word in _SPACE.split(line) if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                policy._take(words)
            except (CryptoError, ValueError) as error:
                raise FormError(f"policy: line {number} {error}") from error
        if not policy.quorum:
            raise FormError("policy: has no line quorum")
        return policy

    def _take(self, words: Sequence[str]) -> None:
        kind, *rest = words
        if kind == "log" and len(rest) in (1, 2):
            self.logs.append(_key(rest[0], _LOG_KINDS, self.logs))
        elif kind == "witness" and len(rest) in (2, 3):
            self._check_new(rest[0])
            self.witnesses[rest[0]] = _key(rest[1], _WITNESS_KINDS, self.witnesses.values())
            if len(rest) == 3:
                self.urls[rest[0]] = rest[2]
        elif kind == "group" and len(rest) > 2:
            self._check_new(rest[0])
            self.groups[rest[0]] = self._group(rest[1], tuple(rest[2:]))
        elif kind == "quorum" and len(rest) == 1 and not self.quorum:
            if rest[0] != NONE:
                self._check_defined(rest[0])
            self.quorum = rest[0]
        else:
            raise FormError("is none of log, witness, group, quorum, each of its own form")

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise FormError(f"defines {name!r}, a name that is taken")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise FormError(f"names {name!r}, which no line before defines")

    def _group(self, threshold: str, members: tuple[str, ...]) -> Group:
        for name in members:
            self._check_defined(name)
            if name in self._members:
                raise FormError(f"names {name!r}, which is a member already")
            self._members.add(name)
        words = {"any": 1, "all": len(members)}
        needed = words[threshold] if threshold in words else decimal(threshold.encode())
        if not 1 <= needed <= len(members):
            raise FormError(f"wants {needed} of {len(members)} members")
        return Group(needed, members)

    @property
    def demands(self) -> bool:
        """Whether a checkpoint needs any cosignature."""
        return self.quorum != NONE

    def text(self, log: str) -> bytes:
        """The policy as a file for verifiers of one log, whose verifier key is `log`; without any URL."""
        lines = [f"log {log}", *(f"witness {name} {key}" for name, key in self.witnesses.items())]
        for name, group in self.groups.items():
            lines.append(f"group {name} {group.needed} {' '.join(group.members)}")
        lines.append(f"quorum {self.quorum}")
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

    def met_by(self, signed: Collection[str]) -> bool:
        """Whether cosignatures of the witnesses of these names meet the quorum."""
        met = {NONE, *(name for name in signed if name in self.witnesses)}
        for name, group in self.groups.items():  # each names only what stands before it
            if sum(member in met for member in group.members) >= group.needed:
                met.add(name)
        return self.quorum in met

    def check(self, note: bytes, keys: Sequence[VerifierKey]) -> list[str]:
        """The names of the witnesses that cosigned a checkpoint, which must meet the quorum.

        `keys`: the log's, as far as they are known; none of them counts as a witness. Raises
        ProofError, also for a cosignature that does not fit.
        """
        self.check_apart(keys)
        try:
            good = Note.parse(note).signed_by([*keys, *self.witnesses.values()])
        except NoteError as error:
            raise ProofError(f"checkpoint: {error}") from error
        signed = [name for name, key in self.witnesses.items() if key in good]
        if not self.met_by(signed):
            who = ", ".join(signed) if signed else "none of its witnesses"
            raise ProofError(
                f"policy: its quorum {self.quorum} is not met: {who} cosigned the checkpoint"
            )
        return signed

    def check_apart(self, keys: Sequence[VerifierKey]) -> None:
        """Raises ProofError where a witness has one of the log's own `keys`."""
        own = {key.public for key in keys}
        if names := [name for name, key in self.witnesses.items() if key.public in own]:
            raise ProofError(f"policy: the witness {names[0]} is the log itself")


def _key(text: str, kinds: Collection[int], others: Collection[VerifierKey]) -> VerifierKey:
    key = VerifierKey.parse(text)
    if key.kind not in kinds:
        wanted = " or ".join(f"0x{kind:02x}" for kind in kinds)
        raise FormError(f"has a key of type 0x{key.kind:02x}, expected {wanted}")
    if any(other.public == key.public for other in others):
        raise FormError("has a key that a line before has")
    return key


def own_policy(data: bytes, keys: Sequence[VerifierKey]) -> WitnessPolicy:
    """The policy that an export carries, which is about its own log alone; raises FormError."""
    policy = WitnessPolicy.parse(data)
    if others := [log for log in policy.logs if log not in keys]:
        raise FormError(f"policy: names another log's key, of {others[0].name}")
    return policy


def outside_policy(data: bytes, keys: Sequence[VerifierKey]) -> WitnessPolicy:
    """A policy given from outside, in which this log may be one of several.

    One without any log line is about whatever log it is given for. Raises FormError, and ProofError if it
    is about others.
    """
    policy = WitnessPolicy.parse(data)
    if keys and policy.logs and not any(log in keys for log in policy.logs):
        raise ProofError(f"policy: is about other logs than {keys[0].name} with these keys")
    return policy


def verifiers_policy(policy: WitnessPolicy | None, keys: Sequence[VerifierKey]) -> bytes:
    """A log's policy as a file for its verifiers; without a policy: that it demands no cosignature."""
    if policy is None:
        policy = WitnessPolicy(quorum=NONE)
    return policy.text(str(keys[0]))
