"""A mobile number by which a patient may be found: stated, replaced and removed by the patient. Only a keyed hash is kept."""

from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_strong
from journeys.errors import NotThere
from journeys.quotas import HOUR_MS, Quota, take
from ledger.directory import Patient
from ledger.errors import Refused
from ledger.times import DAY_MS, format_time
from storage.ledger import Ledger
from storage.numbers import normal_number

STATED_A_MONTH = 5
"""How often a patient may state a number within 30 days: who states others' could find out which are stated already."""
_STATED = (Quota(STATED_A_MONTH, 30 * DAY_MS),)
LOOKED_UP_AN_HOUR = 60
"""Numbers that one account may look up within an hour, whether or not they find anybody."""
LOOKED_UP_A_DAY = 300
"""The same within a day."""
LOOKED_UP = (Quota(LOOKED_UP_AN_HOUR, HOUR_MS), Quota(LOOKED_UP_A_DAY, DAY_MS))


@dataclass(frozen=True)
class NumberShown:
    """What is kept of the number by which a patient is found: not the number, of which there is a keyed hash alone."""

    stated: str
    """When it was stated; empty where none is."""


def number_of(ledger: Ledger, caller: Caller, patient: str) -> NumberShown:
    """Whether a number is stated for a chart of the caller's own, and since when; raises NotThere for others' charts."""
    _own_chart(ledger, caller, patient)
    since = ledger.numbers.since(patient)
    return NumberShown(format_time(since) if since else "")


def state_number(ledger: Ledger, caller: Caller, patient: str, number: str) -> NumberShown:
    """Let the caller's own chart be found by a number, in place of the one before.

    Nothing that comes back tells whether somebody else stated it too. Raises FormError for what is no number, NotThere for
    others' charts, Refused for one that is to be erased, OverQuota; StepUpNeeded and KeyNeeded as `check_strong`.
    """
    chart = _own_chart(ledger, caller, patient)
    check_strong(ledger, caller)
    said = normal_number(number)
    if chart.erased:
        raise Refused("conflict", f"{patient} is to be erased: it is found by no number any more")
    take(ledger, "numbers stated", patient, 1, _STATED, "numbers of one patient")
    ledger.numbers.state(patient, said, ledger.clock())
    return number_of(ledger, caller, patient)


def remove_number(ledger: Ledger, caller: Caller, patient: str) -> None:
    """Let the caller's own chart be found by no number; raises NotThere for others' charts, and as `check_strong`."""
    _own_chart(ledger, caller, patient)
    check_strong(ledger, caller)
    ledger.numbers.remove(patient)


def _own_chart(ledger: Ledger, caller: Caller, patient: str) -> Patient:
    row = ledger.row(Patient, patient)
    if row is None or not row.is_of(caller.account):
        raise NotThere(f"{patient} is not your chart")
    return row
