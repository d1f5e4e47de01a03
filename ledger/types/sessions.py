"""What people do to sign in, as the service saw it: sessions, lock-outs, factors, recovery codes. No secret, no address.

The service signs all of it; attempts that failed are counted outside the log.
"""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, HOSPITAL, HOSPITAL_ROLES, ROLES, TRUE, body
from ledger.editions import CONSENT, PEOPLE
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_named, row_of_id
from ledger.schema import KEY_ID, TIME, Integer, code, id_of
from ledger.signins import SIGN_IN_LASTS_MS, SIGN_INS_KEPT, SignIn, SignIns, sign_ins_of
from ledger.types.checks import known_account, own_stream
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

SESSION = id_of("ss")
RECOVERY_CODES = 10
"""How many recovery codes an account is given at a time."""
FACTORS = ("code", "passkey", "password")
MEANS = ("passkey", "password", "password_code", "password_recovery")
"""By what a session was opened."""
ENDS = ("factor_changed", "owner", "replaced", "signed_out")
"""Why a session ended before its time: a factor changed, its owner ended it elsewhere, a newer one took its place, or
it was signed out."""


def _of_account(event: "Event", time: int, origin: str, look: Look) -> None:
    """It stands in the stream of the account that it is about, which an entry registered."""
    own_stream(event, "account")
    known_account(event, look)


def _account(event: "Event") -> list[Wanted]:
    return [row_of_id(event.body["account"])]


def _sign_ins(event: "Event") -> list[Wanted]:
    return [*_account(event), row_named(SignIns, event.body["account"])]


def _opened(event: "Event", time: int, origin: str, look: Look) -> None:
    """A hospital is named for the roles that are held at one, and for no other; two factors are two."""
    _of_account(event, time, origin, look)
    said = event.body
    if (said["role"] in HOSPITAL_ROLES) != ("hospital" in said):
        raise Refused("malformed", f"session.opened: got the role {said['role']} "
                      f"{'with' if 'hospital' in said else 'without'} a hospital")  # fmt: skip
    if (said["means"] == "password") != (said["assurance"] == 1):
        raise Refused("malformed", f"session.opened: got assurance {said['assurance']} by {said['means']}, expected 1 "
                      "for a password alone and 2 with a second factor")  # fmt: skip


def _fold_opened(entry: "Entry", look: Look) -> list[Row]:
    """Those that are too old to be rested on are forgotten with the next one."""
    said = entry.event.body
    new = SignIn(
        said["session"], said["role"], said.get("hospital", ""), said["assurance"], entry.link.seq, entry.time
    )  # fmt: skip
    row = sign_ins_of(said["account"], look)
    lasting = [one for one in row.sessions if entry.time - one.opened < SIGN_IN_LASTS_MS]
    return [row._replace(seq=entry.link.seq, sessions=(*lasting[1 - SIGN_INS_KEPT :], new))]


def _fold_stepped_up(entry: "Entry", look: Look) -> list[Row]:
    session, row = entry.event.body["session"], sign_ins_of(entry.event.body["account"], look)
    sessions = (
        one._replace(
            stepped=entry.link.seq, strong=entry.time, before=one.stepped, before_strong=one.strong
        )
        if one.session == session
        else one
        for one in row.sessions
    )
    return [row._replace(seq=entry.link.seq, sessions=tuple(sessions))]


def _fold_ended(entry: "Entry", look: Look) -> list[Row]:
    session, row = entry.event.body["session"], sign_ins_of(entry.event.body["account"], look)
    return [
        row._replace(
            seq=entry.link.seq,
            sessions=tuple(one for one in row.sessions if one.session != session),
        )
    ]


SESSION_OPENED = EventType(
    "session.opened",
    "account",
    ("service",),
    body(
        {"hospital": HOSPITAL}, account=ACCOUNT, assurance=Integer(1, 2), means=code(*MEANS),
        role=code(*sorted(set(ROLES) - {"service"})), session=SESSION,
    ),
    since=PEOPLE,
    creates=("session",),
    rule=_opened,
    fold=_fold_opened,  # as far as the log tells: an idle one ends by itself, without an entry
    changes=(SignIns,),
    wants=_sign_ins,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "assurance": 2, "hospital": sample.id("hs"), "means": "password_code",
        "role": "doctor", "session": sample.id("ss"),
    }),
)  # fmt: skip
SESSION_STEPPED_UP_V1 = EventType(
    "session.stepped_up",
    "account",
    ("service",),
    body(account=ACCOUNT, means=code("code", "recovery"), session=SESSION),
    since=PEOPLE,
    rule=_of_account,
    fold=_fold_stepped_up,
    changes=(SignIns,),
    wants=_sign_ins,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "means": "code", "session": sample.id("ss"),
    }),
)  # fmt: skip
SESSION_STEPPED_UP = EventType(
    "session.stepped_up",
    "account",
    ("service",),
    body(account=ACCOUNT, means=code("code", "passkey", "recovery"), session=SESSION),
    v=2,
    since=CONSENT,
    rule=_of_account,
    fold=_fold_stepped_up,
    changes=(SignIns,),
    wants=_sign_ins,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "means": "passkey", "session": sample.id("ss"),
    }),
)  # fmt: skip
SESSION_ENDED = EventType(
    "session.ended",
    "account",
    ("service",),
    body(account=ACCOUNT, reason=code(*ENDS), session=SESSION),
    since=PEOPLE,
    rule=_of_account,
    fold=_fold_ended,
    changes=(SignIns,),
    wants=_sign_ins,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "reason": "owner", "session": sample.id("ss"),
    }),
)  # fmt: skip
SESSION_LOCKED = EventType(
    "session.locked",
    "account",
    ("service",),
    body(account=ACCOUNT, until=TIME),
    since=PEOPLE,
    rule=_of_account,
    fold=nothing,
    changes=(),
    wants=_account,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "until": "2026-11-20T07:39:00.123Z",
    }),
)  # fmt: skip


def _changed(event: "Event", time: int, origin: str, look: Look) -> None:
    """What is reset, without what it replaces being shown, is reset in a session by a key, which is named."""
    _of_account(event, time, origin, look)
    said = event.body
    if said.get("reset") and "key" not in said:
        raise Refused("malformed", f"{event.type.name}: got a reset without the key that signed in")
    if said.get("reset") and event.type.name == "factor.added" and not said.get("replaces"):
        raise Refused("malformed", "factor.added: got a reset of what was not there before")


FACTOR_ADDED = EventType(
    "factor.added",
    "account",
    ("service",),
    body({"key": KEY_ID, "replaces": TRUE, "reset": TRUE}, account=ACCOUNT, factor=code(*FACTORS)),
    since=PEOPLE,
    rule=_changed,
    fold=nothing,
    changes=(),
    wants=_account,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "factor": "password", "key": sample.key("patient")["key"],
        "replaces": True, "reset": True,
    }),
)  # fmt: skip
FACTOR_REMOVED = EventType(
    "factor.removed",
    "account",
    ("service",),
    body({"key": KEY_ID, "reset": TRUE}, account=ACCOUNT, factor=code("code", "passkey")),
    since=PEOPLE,
    rule=_changed,
    fold=nothing,
    changes=(),
    wants=_account,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "factor": "code", "key": sample.key("patient")["key"],
        "reset": True,
    }),
)  # fmt: skip
RECOVERY_USED = EventType(
    "recovery.used",
    "account",
    ("service",),
    body(account=ACCOUNT, left=Integer(0, RECOVERY_CODES - 1)),
    since=PEOPLE,
    rule=_of_account,
    fold=nothing,
    changes=(),
    wants=_account,
    example=Example("service", lambda sample: {
        "account": sample.account("person"), "left": 9,
    }),
)  # fmt: skip
