"""Whom a patient grants to or excludes: a person, a hospital or a group, by name, and whether it can read at all."""

from dataclasses import dataclass

from client.port import LedgerClient
from crypto.ids import is_id
from identity.actors import Actor
from journeys.errors import RecordsError


@dataclass(frozen=True)
class Reader:
    """A person, a hospital or a group, as a patient may see it."""

    id: str
    name: str
    """By name where it has one, and by id."""
    hospitals: dict[str, str]
    """For whom it acts: names by id, the first one's zone being `time_zone`."""
    time_zone: str
    """Of its hospital; its days are the days of what it is granted."""
    unable: str
    """Why no grant could be used by it now; empty if one could."""


def reader_of(client: LedgerClient, actor: Actor, identifier: str) -> Reader:
    """A reader by id; raises RecordsError for what is none, NotThere for one that doesn't exist."""
    if is_id("hs", identifier):
        return _hospital(client, actor, identifier)
    if is_id("gp", identifier):
        return _group(client, actor, identifier)
    if is_id("ac", identifier):
        return _person(client, actor, identifier)
    raise RecordsError(f"{identifier[:60]!r} is not an account, group or hospital id")


def check_able(reader: Reader) -> None:
    """Raises RecordsError for a reader to whom a grant would be of no use."""
    if reader.unable:
        raise RecordsError(f"nothing was granted: {reader.unable}, so no grant could be used")


def _hospital(client: LedgerClient, actor: Actor, hospital: str) -> Reader:
    found = client.hospital(actor, hospital)
    name = f"{found.name} ({hospital})"
    unable = "" if found.active else f"{name} is suspended"
    return Reader(hospital, name, {hospital: found.name}, found.time_zone, unable)


def _group(client: LedgerClient, actor: Actor, group: str) -> Reader:
    of = _hospital(client, actor, client.hospital_of(actor, group))
    groups = client.hospital(actor, of.id).groups
    called = next((one.name for one in groups if one.group == group), "")
    name = f"{called or 'the group'} of {of.hospitals[of.id]} ({group})"
    return Reader(group, name, of.hospitals, of.time_zone, of.unable)


def _person(client: LedgerClient, actor: Actor, account: str) -> Reader:
    found = client.holder(actor, account)
    acting = [role.hospital for role in found.acts_as("doctor")]
    hospitals = {one: client.hospital(actor, one) for one in acting}
    houses = ", ".join(one.name for one in hospitals.values())
    name = f"{found.name} ({account}{f', {houses}' if houses else ''})" if found.name else account
    zone = next((one.time_zone for one in hospitals.values()), "Etc/UTC")
    unable = "" if hospitals else f"{name} is not an active doctor of any hospital"
    if account == actor.account and actor.role == "patient":
        unable = f"{account} is your own account, which reads without a grant"
    return Reader(
        account, name, {one: found.name for one, found in hospitals.items()}, zone, unable
    )
