"""The log itself: how it began, went on from a copy, changed its policy, was read by an auditor, raised alarms, and
handed its keys over."""

from typing import TYPE_CHECKING

from crypto import canonical
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.notes import ED25519, ML_DSA_44_COSIGNATURE
from ledger.checkpoint import parse_keys
from ledger.codes import ACCOUNT, POLICY, POLICY_V1, WRONGS, body
from ledger.directory import Account, Key, Member
from ledger.editions import CONSENT, edition_of
from ledger.errors import Refused
from ledger.logkeys import LogKeyRow, in_order
from ledger.policies import (
    DEFAULT_PROFESSIONS,
    LOG,
    POLICY_WAIT_MS,
    PolicyRow,
    known_edition,
    last_policy,
    policy_at,
    widened,
)
from ledger.rows import Look, Row, Wanted, row_named
from ledger.schema import (
    HASH,
    KEY_ID,
    ORIGIN,
    VERIFIER_KEY,
    Boolean,
    Integer,
    List,
    base64_of,
    code,
)
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_NAMED_KEY = body(account=ACCOUNT, key=KEY_ID, public_key=base64_of(32))
_FOUNDERS = (("operator", "device"), ("service", "service"))
"""Whom entry 0 names, and who keeps their keys."""
_EXAMPLE_POLICY = {
    "assurance": {"export": 3, "grant": 3, "read_sensitive": 2},
    "care_link": "basic",
    "clock_skew_ms": 300_000,
    "custodian_reads": False,
    "emergency_hours": 4,
    "grant_days_max": 365,
    "majority_years": 18,
    "private_labels": ["ETH", "PSY", "SDV", "SEX", "STD"],
    "refusals_per_hour": 20,
    "retention_years": 30,
}


def _founders_ids(event: "Event", look: Look) -> list[str]:
    return [event.body[role][member] for role, _ in _FOUNDERS for member in ("account", "key")]


def _created(entry: "Entry", look: Look) -> list[Row]:
    """The first policy, the log's first keys, and the operator and the service with theirs."""
    body, seq, time = entry.event.body, entry.link.seq, entry.time
    rows: list[Row] = [_policy_row(entry, time), _key_row(entry)]
    for role, custody in _FOUNDERS:
        named = body[role]
        account, public = named["account"], b64decode(named["public_key"], 32)
        rows.append(Account(account, seq, "operator"))
        rows.append(
            Key(named["key"], account, public, "ed25519", custody, seq, time, account, True)
        )
        rows.append(Member(account, role, "", seq, True, 0, 0))
    return rows


def _key_row(entry: "Entry") -> LogKeyRow:
    event = entry.event
    return LogKeyRow(event.id, LOG, entry.link.seq, 0, " ".join(event.body["log_keys"]))


def _policy_row(entry: "Entry", since: int) -> PolicyRow:
    body = entry.event.body
    text = canonical.write(body["policy"]).decode()
    return PolicyRow(entry.event.id, LOG, entry.link.seq, since, body["registry"], text)


LEDGER_CREATED = EventType(
    "ledger.created",
    "ledger",
    ("operator",),
    body(
        log_keys=List(VERIFIER_KEY, 16, low=2), operator=_NAMED_KEY, origin=ORIGIN, policy=POLICY_V1,
        registry=HASH, service=_NAMED_KEY,
    ),
    ids=_founders_ids,
    rule=nothing,  # as entry 0 it is checked before anybody is known: `ledger.signers.check_first`
    fold=_created,
    changes=(PolicyRow, LogKeyRow, Account, Key, Member),
    wants=nothing,  # there is no row yet
    example=Example("operator", lambda sample: {
        "log_keys": sample.log_keys, "operator": sample.key("operator"), "origin": sample.origin,
        "policy": _EXAMPLE_POLICY, "registry": sample.hash, "service": sample.key("service"),
    }),
)  # fmt: skip

LEDGER_RESTORED = EventType(
    "ledger.restored",
    "ledger",
    ("operator",),
    body(last_root=HASH, last_size=Integer(), root=HASH, size=Integer()),
    rule=nothing,  # size and root are those of the tree, which the sequencer and the verifier compare
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example("operator", lambda sample: {
        "last_root": sample.hash, "last_size": 9, "root": sample.hash, "size": 7,
    }),
)  # fmt: skip


def _known_registry(event: "Event", time: int, origin: str, look: Look) -> None:
    """A new registry holds all of the old; this program's editions are those it knows."""
    named = edition_of(b64decode(event.body["registry"], 32))
    before = edition_of(b64decode(last_policy(look).registry, 32))
    if named is None or before is None or named < before:
        raise Refused("registry", f"got the registry {event.body['registry']}, expected one that this "
                      "program knows and that holds all of the one before")  # fmt: skip


def _policy_changed(entry: "Entry", look: Look) -> list[Row]:
    """What widens anything waits."""
    body, since = entry.event.body, entry.time
    before, edition = policy_at(look, since).policy, known_edition(body["registry"])
    since += POLICY_WAIT_MS if widened(before, body["policy"], edition) else 0
    return [_policy_row(entry, since)]


def _new_policy(event: "Event") -> list[Wanted]:
    return [row_named(PolicyRow, event.id)]


POLICY_CHANGED_V1 = EventType(
    "policy.changed",
    "ledger",
    ("operator",),
    body(policy=POLICY_V1, registry=HASH),
    since=2,
    rule=_known_registry,
    fold=_policy_changed,
    changes=(PolicyRow,),
    wants=_new_policy,
    example=Example(
        "operator", lambda sample: {"policy": _EXAMPLE_POLICY, "registry": sample.hash}
    ),
)

POLICY_CHANGED = EventType(
    "policy.changed",
    "ledger",
    ("operator",),
    body(policy=POLICY, registry=HASH),
    v=2,
    since=CONSENT,
    rule=_known_registry,
    fold=_policy_changed,
    changes=(PolicyRow,),
    wants=_new_policy,
    example=Example("operator", lambda sample: {
        "policy": _EXAMPLE_POLICY | {
            "professions": {name: list(may) for name, may in DEFAULT_PROFESSIONS.items()},
        },
        "registry": sample.hash,
    }),
)  # fmt: skip

LOG_OPENED = EventType(
    "log.opened",
    "ledger",
    ("auditor",),
    body(),
    since=2,
    reading=True,
    rule=nothing,
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example("auditor", lambda sample: {}),
)

ALARM_RAISED = EventType(
    "alarm.raised",
    "ledger",
    ("service",),
    body(entry=Integer(), taken=Boolean(), wrong=code(*WRONGS)),
    since=4,
    rule=nothing,  # what the key keeper says it found is for people to look at, and for audits to bear out
    fold=nothing,
    changes=(),
    wants=nothing,
    example=Example("service", lambda sample: {"entry": 7, "taken": True, "wrong": "decision"}),
)

_PAIR = (ED25519, ML_DSA_44_COSIGNATURE)
"""The types of a generation's keys, in order."""


def _generations(look: Look) -> list[LogKeyRow]:
    return in_order(look.group(LogKeyRow, LOG))


def _handing_over(rows: list[LogKeyRow]) -> bool:
    """Whether the generation before the newest one still counts."""
    return len(rows) > 1 and not rows[-2].retired


def _next_keys(event: "Event", time: int, origin: str, look: Look) -> None:
    """One key of each type, of this log's name, new; and no other hand-over is on its way."""
    texts, rows = event.body["log_keys"], _generations(look)
    try:
        keys = parse_keys(texts)
    except CryptoError as error:
        raise Refused("malformed", f"log_keys: {error}") from error
    if keys[0].name != origin or tuple(key.kind for key in keys) != _PAIR:
        raise Refused("malformed", f"got {len(keys)} keys of {keys[0].name}, expected one of Ed25519 and one of "
                      f"ML-DSA-44 of {origin}")  # fmt: skip
    if not {text for row in rows for text in row.keys.split()}.isdisjoint(texts):
        raise Refused("conflict", "got a key that the log has or had already, expected new ones")
    if _handing_over(rows):
        raise Refused("conflict", f"the keys of entry {rows[-1].seq} were added and those before them are not "
                      "retired yet")  # fmt: skip


def _added(entry: "Entry", look: Look) -> list[Row]:
    return [_key_row(entry)]


LOG_KEY_ADDED = EventType(
    "log_key.added",
    "ledger",
    ("operator",),
    body(log_keys=List(VERIFIER_KEY, 2, low=2)),
    since=4,
    rule=_next_keys,
    fold=_added,
    changes=(LogKeyRow,),
    wants=nothing,  # every batch has these rows: they say who signs its checkpoint
    example=Example("operator", lambda sample: {"log_keys": sample.log_keys}),
)


def _last_added(event: "Event", time: int, origin: str, look: Look) -> None:
    """It names the `log_key.added` whose keys alone are to count."""
    rows = _generations(look)
    if not _handing_over(rows) or rows[-1].seq != event.body["added"]:
        raise Refused("conflict", f"got the log_key.added of entry {event.body['added']}, expected the newest, whose "
                      "predecessors are not retired yet")  # fmt: skip


def _retired(entry: "Entry", look: Look) -> list[Row]:
    return [_generations(look)[-2]._replace(retired=entry.link.seq)]


LOG_KEY_RETIRED = EventType(
    "log_key.retired",
    "ledger",
    ("operator",),
    body(added=Integer(1)),
    since=4,
    rule=_last_added,
    fold=_retired,
    changes=(LogKeyRow,),
    wants=nothing,  # every batch has these rows: they say who signs its checkpoint
    example=Example("operator", lambda sample: {"added": 7}),
)
