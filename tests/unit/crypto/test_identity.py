"""What is sealed under the identity root opens for whom it was sealed, and for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import SealError
from crypto.identity import IdentityRoot

ROOT = IdentityRoot(bytes(range(32)))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(NAMES, NAMES, st.binary(max_size=100))
def test_what_is_sealed_opens(kind: str, name: str, secret: bytes) -> None:
    sealed = ROOT.seal(kind, name, secret)
    assert ROOT.open(kind, name, sealed) == secret
    assert ROOT.seal(kind, name, secret) != sealed  # two of the same don't show it


@pytest.mark.parametrize(
    ("root", "kind", "name"),
    [
        (IdentityRoot(bytes(32)), "seed", "ac_1"),
        (ROOT, "contact", "ac_1"),
        (ROOT, "seed", "ac_2"),
        (ROOT, "seedac_1", ""),
    ],
)
def test_nothing_else_opens_it(root: IdentityRoot, kind: str, name: str) -> None:
    sealed = ROOT.seal("seed", "ac_1", b"secret")
    with pytest.raises(SealError):
        root.open(kind, name, sealed)
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(SealError):
            ROOT.open("seed", "ac_1", bytes(altered))


def test_an_index_is_of_its_kind_and_root() -> None:
    one = ROOT.index("mail", "pat@example.org")
    assert one == ROOT.index("mail", "pat@example.org") and len(one) == 32
    others = (
        ROOT.index("phone", "pat@example.org"),
        ROOT.index("mail", "pat@example.or"),
        IdentityRoot(bytes(32)).index("mail", "pat@example.org"),
    )
    assert one not in others


def test_a_root_has_its_length() -> None:
    with pytest.raises(SealError, match="31 bytes, expected 32"):
        IdentityRoot(bytes(31))
