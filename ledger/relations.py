"""Who may act for somebody else: relatives and guardians of patients, doctors for colleagues on leave."""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.facts import Provision
from ledger.rows import Look, row_type

RELATIVE, GUARDIAN = "relative", "guardian"
KINDS = (GUARDIAN, RELATIVE)
"""Of a relation; whoever has either acts as `relative`."""


@row_type("invitations", key=2, group=("patient",))
class Invitation(NamedTuple):
    """That a patient invited somebody to be linked as a relative, and on which terms."""

    patient: str
    invitation: str
    """The id of the event that invited."""
    seq: int
    public: bytes
    """The public key of the invitation's code."""
    until: int
    """Until when the code counts, Unix ms, excluded."""
    closed: int
    """The entry by which somebody was linked, or that withdrew it; 0 while it is open."""
    actions: tuple[str, ...]
    """What the relative may do, like the fields below as a grant has them."""
    scope: str
    records: tuple[str, ...]
    labels: tuple[str, ...]
    sensitive: bool
    what: tuple[Provision, ...]
    exceptions: tuple[Provision, ...]
    start: int
    """Unix ms, included."""
    end: int
    """Unix ms, excluded."""


@row_type("relations", key=3, group=("patient",), indexes={"relations_of_account": "account"})
class Relation(NamedTuple):
    """That an account is (`active`) or was a relative or a guardian of a patient, by entry `seq`."""

    patient: str
    account: str
    kind: str
    """RELATIVE or GUARDIAN."""
    seq: int
    active: bool
    hospital: str
    """That appointed a guardian; empty for relatives."""
    actions: tuple[str, ...]
    """What a relative may do, like the fields below as a grant has them; a guardian acts as the patient."""
    scope: str
    records: tuple[str, ...]
    labels: tuple[str, ...]
    sensitive: bool
    what: tuple[Provision, ...]
    exceptions: tuple[Provision, ...]
    start: int
    """Unix ms, included; of a guardian whom nobody confirms or objects to."""
    end: int
    """Unix ms, excluded; of a guardian 0, as the patient's age says when it ends."""
    confirmed: int = 0
    """The entry by which a second hospital confirmed a guardian; 0 if none did."""
    objected: int = 0
    """The entry by which somebody objected to a guardian first; 0 if nobody did."""

    def guards(self, time: int, adult_from: int) -> bool:
        """Whether a guardian counts at `time` for a patient who is of age from `adult_from` on; both Unix ms.

        Appointed, a guardian waits; if nobody objects meanwhile, or a second hospital confirms, they count.
        """
        if self.kind != GUARDIAN or not self.active or time >= adult_from:
            return False
        return bool(self.confirmed) or (not self.objected and self.start <= time)


@row_type(
    "delegations",
    key=3,
    group=("hospital", "giver"),
    indexes={"delegations_of_giver": "giver", "delegations_to_account": "account"},
)
class Delegation(NamedTuple):
    """That a doctor of a hospital lets (`active`) a colleague there act for them, last by entry `seq`."""

    hospital: str
    giver: str
    account: str
    """Who acts for the giver."""
    seq: int
    active: bool
    actions: tuple[str, ...]
    start: int
    """Unix ms, included."""
    end: int
    """Unix ms, excluded."""

    def counts(self, time: int) -> bool:
        """Whether it is in force at `time` (Unix ms)."""
        return self.active and self.start <= time < self.end


def relations_of(patient: str, account: str, look: Look) -> Iterable[Relation]:
    """How an account is or was related to a patient."""
    found = (look.get(Relation, patient, account, kind) for kind in KINDS)
    return (one for one in found if one is not None)


def acts_as_relative(patient: str, account: str, look: Look) -> bool:
    """Whether an account is linked to a patient, or appointed; whether it counts yet or still is for S10 to say."""
    return any(one.active for one in relations_of(patient, account, look))
