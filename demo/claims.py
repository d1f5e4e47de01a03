"""Whose a chart is: a hospital's letter, a guess, the claim, and the same code again."""

from client import claiming, grants
from client.claiming import Code
from client.letters import letter_bytes, letter_of
from client.local import LocalClient
from client.registering import NewPatient, new_account, register_patients
from demo.people import Story
from demo.steps import DemoFailed, Steps, expect
from durable.files import create_file
from identity.actors import Actor, new_id, new_key
from journeys.errors import AccessDenied, NotClaimed

NAME, BORN, GUESSED = "Mila Brandt", "1961-07-09", "1961-09-07"


def claims(step: Steps, story: Story) -> None:
    """A patient whom the hospital registered makes the chart her own."""
    client, system = LocalClient(story.ledger), story.north.system
    code = step(
        "a letter with a claim code is printed",
        lambda: _letter(story, client, system),
        lambda made: f"{made.patient}.pdf, for {made.patient}",
    )
    mila, thief = person(client, story.operator), person(client, story.operator)
    step(
        "a guess is refused",
        lambda: _refused(client, thief, code, GUESSED),
        lambda told: "the wrong birth date; not even that is told",
    )
    seq = step(
        "the patient claims the chart",
        lambda: claiming.claim_chart(client, mila, code.patient, code.text, BORN),
        lambda found: f"entry {found}, by the letter's code and her birth date",
    )
    patient = mila.in_role("patient")
    step(
        "and grants from it",
        lambda: grants.grant(client, patient, code.patient, story.doctors[2].account)[1],
        lambda found: f"entry {found}, which rests on entry {seq}",
    )
    step(
        "the used code is refused",
        lambda: _refused(client, thief, code, BORN),
        lambda told: "a code counts once",
    )


def _letter(story: Story, client: LocalClient, system: Actor) -> Code:
    """Register her with a code and write the letter; until she claims, nobody acts as her."""
    now, key = client.now(), new_key()
    code = claiming.new_code(new_id("pt", now))
    new = NewPatient(
        code.patient, new_id("ac", now), NAME, None, False, key, claim=code.public, born=BORN
    )
    path = story.place / f"{code.patient}.pdf"
    create_file(path, letter_bytes(letter_of(client, code), path))
    register_patients(client, system, [new])
    made = Actor(client.origin, new.account, "patient", "", key)
    try:
        grants.grant(client, made, code.patient, story.doctors[2].account)
    except AccessDenied as denied:
        expect(denied.reason == "unclaimed", f"got {denied}")
        return code
    raise DemoFailed("the hospital's key granted access to a chart that nobody had claimed")


def person(client: LocalClient, operator: Actor) -> Actor:
    """Somebody with an account of their own, and no role."""
    key = new_key()
    account, events = new_account(client, operator, NAME, key, "device")
    client.append(operator, events, atomic=True)
    return Actor(client.origin, account, "person", "", key)


def _refused(client: LocalClient, who: Actor, code: Code, born: str) -> str:
    try:
        claiming.claim_chart(client, who, code.patient, code.text, born)
    except NotClaimed as refused:
        return str(refused)
    raise DemoFailed(f"{who.account} claimed a chart that is not theirs")
