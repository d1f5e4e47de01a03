"""What a ledger of the tests sends, into its mail folder; and people who can be reached."""

import quopri
import re

from sqlalchemy import inspect

from identity.actors import Actor
from people.contacts import give_contact, prove_contact
from people.mailing import MailSender, Round
from storage.contacts import PROOF, Contact
from storage.mail.folder import FOLDER, MailFolder
from storage.mail.port import Mail
from storage.outbox import Row
from tests.support.ledger_fixture import LedgerFixture

MOST = 1_000


def inbox(fixture: LedgerFixture) -> MailFolder:
    """The ledger's mail folder."""
    return MailFolder(fixture.settings.data / FOLDER)


def send(fixture: LedgerFixture, mail: Mail | None = None, now: bool = False) -> Round:
    """One round, into the folder or to `mail`."""
    done = MailSender(fixture.ledger, mail or inbox(fixture)).round(now)
    assert done is not None
    return done


def rows(fixture: LedgerFixture, kind: str = "") -> list[Row]:
    """The messages of a kind, or all, the newest first."""
    return [one for one in fixture.ledger.outbox.rows(MOST) if kind in ("", one.kind)]


def told(fixture: LedgerFixture, kind: str = "") -> list[tuple[str, str]]:
    """Kind and account of the messages, in the order in which they were made; of one kind, or all but codes."""
    found = [one for one in rows(fixture, kind) if kind or one.kind != PROOF]
    return sorted((one.kind, one.account) for one in found)


def code_for(fixture: LedgerFixture, account: str) -> str:
    """The code in the newest mail with one for the account."""
    newest = next(one for one in rows(fixture, PROOF) if one.account == account)
    found = re.search(rb"\b[A-Z2-7]{26}\b", inbox(fixture).read(newest.id))
    assert found is not None
    return found[0].decode()


def reach(fixture: LedgerFixture, who: Actor, address: str, language: str = "en") -> None:
    """Let somebody be reached: the address is given, and proved by the code in its mail."""
    give_contact(fixture.ledger, who.caller, address, language)
    send(fixture)
    prove_contact(fixture.ledger, code_for(fixture, who.account))


def give(fixture: LedgerFixture, account: str, address: str, language: str = "en") -> None:
    """Let an account be reached, whoever holds it."""
    contacts, clock = fixture.ledger.contacts, fixture.ledger.clock
    assert contacts.give(account, Contact(address, language), clock())
    newest = next(one for one in rows(fixture, PROOF) if one.account == account)
    assert contacts.prove(contacts.code(newest.id), clock())


def mails_to(fixture: LedgerFixture, address: str) -> list[str]:
    """The text of the mails in the folder that went to an address, the newest first."""
    folder = inbox(fixture)
    found = [folder.read(name).decode() for name in folder.names()]
    return [unfolded(one) for one in found if f"To: {address}\r\n" in one]


def unfolded(mail: str) -> str:
    """A mail's text in one line, without quoted-printable."""
    return " ".join(quopri.decodestring(mail.encode()).decode().split())


def everywhere(fixture: LedgerFixture, *planted: str) -> list[str]:
    """Where one of the texts stands, in any case: in which file of the data directory, or table of the database."""
    needles = [text.lower().encode() for text in planted]
    places = list[str]()
    for path in fixture.settings.data.rglob("*"):
        if path.is_file() and path.parent.name != "mail":
            data = path.read_bytes().lower()
            places += [str(path) for needle in needles if needle in data]
    with fixture.ledger.database.read() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = (
                        bytes(value)
                        if isinstance(value, bytes | memoryview)
                        else str(value).encode()
                    ).lower()
                    places += [table for needle in needles if needle in data]
    return places
