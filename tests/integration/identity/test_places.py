"""Being told of a sign-in from a new place: once, with the sign-in, and of nothing that tells where."""

import pytest

from identity import factors, signing_in
from identity.errors import NotSignedIn
from identity.places import place_of
from identity.proving import Proof
from identity.signing_in import SignIn
from storage.places import SEEN_AGAIN_MS
from storage.sql.throttles import KNOWN_MS, PLACE
from tests.support.inbox import everywhere, mails_to, reach, rows, send
from tests.support.ledger_fixture import LedgerFixture
from tests.support.sign_ins import PASSWORD, reopened

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
HOME, NEXT_DOOR, AFAR = "192.0.2.1", "192.0.2.200", "203.0.113.9"


class Owner:
    """Somebody with a password and an address, and a clock that can be moved."""

    def __init__(self, fixture: LedgerFixture) -> None:
        self.fixture, self.clock = fixture, reopened(fixture)
        actor = fixture.person().actor
        caller = actor.in_role("person").caller
        factors.set_password(fixture.ledger, caller, PASSWORD, Proof(), "")
        reach(fixture, actor, "pat@example.com")
        self.account = caller.account

    def sign_in(self, address: str, password: str = PASSWORD) -> None:
        wanted = SignIn(self.account, Proof(password), "person")
        signing_in.sign_in_by_password(self.fixture.ledger, wanted, address)

    def told(self) -> int:
        return len(rows(self.fixture, "new_place"))


@pytest.fixture
def pat(fixture: LedgerFixture) -> Owner:
    return Owner(fixture)


def test_of_a_new_network_once(pat: Owner) -> None:
    """Not of the first ever, nor of the same network, nor of a wrong password; and where it is mailed, it says no place."""
    pat.sign_in(HOME)
    pat.sign_in(NEXT_DOOR)
    assert pat.told() == 0
    with pytest.raises(NotSignedIn):
        pat.sign_in(AFAR, "wrong horse")
    assert pat.told() == 0
    for _ in range(2):
        pat.sign_in(AFAR)
        assert pat.told() == 1
    pat.sign_in("")
    assert pat.told() == 1
    send(pat.fixture)
    (mail,) = [one for one in mails_to(pat.fixture, "pat@example.com") if "new place" in one]
    assert pat.account in mail
    assert AFAR not in mail
    assert place_of(AFAR) not in mail


def test_a_place_is_kept_as_long_as_it_is_used(pat: Owner) -> None:
    """What is used each month stays known; after three months without it is new again."""
    pat.sign_in(HOME)
    for _ in range(4):
        pat.clock.ahead += KNOWN_MS // 3
        pat.sign_in(HOME)
    assert pat.told() == 0
    pat.sign_in(AFAR)
    assert pat.told() == 1
    pat.clock.ahead += KNOWN_MS - SEEN_AGAIN_MS
    pat.sign_in(HOME)
    pat.clock.ahead += 2 * SEEN_AGAIN_MS
    pat.sign_in(HOME)
    pat.sign_in(AFAR)
    assert pat.told() == 2


def test_it_tells_nothing_of_where(pat: Owner) -> None:
    """Two accounts at one place share no row, and no address stands in the data in clear."""
    other = Owner.__new__(Owner)
    other.fixture, other.clock = pat.fixture, pat.clock
    caller = pat.fixture.person("Kim").actor.in_role("person").caller
    factors.set_password(pat.fixture.ledger, caller, PASSWORD, Proof(), "")
    other.account = caller.account
    for one in (pat, other):
        one.sign_in(HOME)
        one.sign_in(AFAR)
    database = pat.fixture.ledger.database
    found = database.fetch("SELECT name FROM throttles WHERE kind = ?", (PLACE,))
    assert len(found) == 6
    planted = (HOME, AFAR, place_of(HOME), place_of(AFAR), "192.0.2.0", "203.0.113.0")
    assert everywhere(pat.fixture, *planted) == []
