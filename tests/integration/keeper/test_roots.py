"""How a record root is kept: one contract for each way, and what stops a start, with its remedy."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from api.app.creating import create_ledger
from api.app.settings import Settings
from crypto.encoding import b64decode
from durable.errors import StartRefused
from keeper.roots import (
    FIRST_ROOT,
    FilePlace,
    KmsPlace,
    Pkcs11Place,
    RecordRoots,
    RootPlace,
    Unlock,
    kms,
    parse_root_place,
)
from tests.support.commands import heartwood
from tests.support.inside import opened as open_ledger
from tests.support.kms import FaultyKms, KmsServer, faulty_kms
from tests.support.softhsm import PIN, SoftHsmMissing, SoftToken

DRIVERS = ("file", "passphrase", "kms", "pkcs11")
ORIGIN = "heartwood.example/roots"


@pytest.fixture(scope="module")
def kms_server() -> Iterator[KmsServer]:
    with KmsServer.start() as running:
        yield running


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    """A token in software; where there can be none each of its tests is skipped, by name."""
    try:
        made = SoftToken.make(tmp_path / "token")
    except SoftHsmMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    made.add_key("heartwood")
    return made


@dataclass(frozen=True)
class Kept:
    """A way to keep a root, what opens it, and the setting that says so."""

    place: RootPlace
    unlock: Unlock
    setting: str

    def roots(self, folder: Path) -> RecordRoots:
        """As another process would have them."""
        return RecordRoots(folder, self.unlock)

    def settings(self, data: Path) -> Settings:
        """Of a ledger whose root is kept so."""
        return Settings.model_validate(
            {
                "data": data, "record_root": self.setting, "database_url": "",
                "passphrase": self.unlock.passphrase, "pkcs11_pin": self.unlock.pin,
            }
        )  # fmt: skip


@pytest.fixture(params=DRIVERS)
def kept(request: pytest.FixtureRequest) -> Kept:
    if request.param == "kms":
        server: KmsServer = request.getfixturevalue("kms_server")
        place = server.place()
        return Kept(place, Unlock(), server.setting(place))
    if request.param == "pkcs11":
        token: SoftToken = request.getfixturevalue("token")
        return Kept(token.place, Unlock(pin=PIN), token.setting)
    return Kept(FilePlace(), Unlock("word" if request.param == "passphrase" else None), "file:")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "roots"
    made.mkdir()
    return made


# The contract.


def test_a_root_is_had_again_by_another_process(kept: Kept, folder: Path) -> None:
    kept.roots(folder).create(1, kept.place)
    kept.roots(folder).create(2, kept.place)
    roots = kept.roots(folder)
    first, second = roots.get(1), roots.get(2)
    assert len(first) == 32 and first != second
    assert kept.roots(folder).get(1) == first
    assert (roots.there(), roots.place(2)) == ([1, 2], kept.place)
    assert parse_root_place(kept.setting) == kept.place


def test_none_is_made_over_another(kept: Kept, folder: Path) -> None:
    roots = kept.roots(folder)
    roots.create(1, kept.place)
    before = roots.path(1).read_bytes()
    with pytest.raises(FileExistsError):
        kept.roots(folder).create(1, kept.place)
    assert roots.path(1).read_bytes() == before


def test_only_its_owner_reads_the_file(kept: Kept, folder: Path) -> None:
    roots = kept.roots(folder)
    roots.create(1, kept.place)
    assert roots.path(1).stat().st_mode & 0o777 == 0o600
    roots.path(1).chmod(0o640)
    with pytest.raises(StartRefused, match=r"readable by others.*chmod 600"):
        roots.get(1)


def test_it_opens_as_no_other_generation(kept: Kept, folder: Path) -> None:
    """What wraps it is bound to what it is; a plain file binds nothing, and the store then shows it."""
    roots = kept.roots(folder)
    roots.create(1, kept.place)
    root = roots.get(1)
    if kept.unlock == Unlock() and kept.place == FilePlace():
        assert root.hex() not in roots.path(1).read_text()
        return
    assert root not in roots.path(1).read_bytes()
    roots.path(1).rename(roots.path(2))
    with pytest.raises(StartRefused, match="altered"):
        kept.roots(folder).get(2)


def test_an_altered_file_opens_nothing(kept: Kept, folder: Path) -> None:
    roots = kept.roots(folder)
    roots.create(1, kept.place)
    whole = roots.path(1).read_text()
    for broken in ("", whole[:-9], whole.replace(" ", " A", 1), f"{whole.split()[0]} []\n"):
        roots.path(1).write_text(broken)
        with pytest.raises(StartRefused, match=r"record\.root|altered"):
            kept.roots(folder).get(1)
    roots.path(1).write_text(whole)
    assert kept.roots(folder).get(1)


def test_a_destroyed_root_is_gone(kept: Kept, folder: Path) -> None:
    roots = kept.roots(folder)
    roots.create(1, kept.place)
    roots.get(1)
    roots.destroy(1)
    roots.destroy(1)
    for asked in (roots, kept.roots(folder)):
        with pytest.raises(StartRefused, match=r"is missing\. Put it back"):
            asked.get(1)
    assert list(folder.iterdir()) == []


def test_a_ledger_begins_and_opens_with_it(kept: Kept, tmp_path: Path) -> None:
    settings = kept.settings(tmp_path / "data")
    create_ledger(settings, ORIGIN)
    open_ledger(settings).close()
    shown = heartwood(settings, "root", "show", "--json").json["roots"]
    assert [(one["kept"], one["keys"]) for one in shown] == [(str(kept.place), 1)]
    RecordRoots(settings.roots(), kept.unlock).destroy(FIRST_ROOT)
    kept.roots(settings.roots()).create(FIRST_ROOT, kept.place)
    with pytest.raises(StartRefused, match="record root is not the one"):
        open_ledger(settings)


# What stops a start.


@pytest.fixture
def faulty(folder: Path) -> Iterator[FaultyKms]:
    """A ledger's root is in a KMS that answers with a fault."""
    with faulty_kms() as fault:
        said = {"key": "alias/heartwood", "region": "eu-central-1", "endpoint": fault.url}
        path = folder / "record.root"
        path.touch(0o600)
        path.write_text(f"heartwood-root-kms {json.dumps(said | {'wrapped': 'AAAA'})}\n")
        yield fault


CODES = {
    "AccessDeniedException": "may not use the key: it needs kms:Encrypt and kms:Decrypt",
    "DisabledException": "the key is disabled: enable it",
    "ExpiredTokenException": "the credentials have expired: renew them",
    "IncorrectKeyException": "another key wrapped it",
    "InvalidCiphertextException": "the file was altered, or is of another key",
    "KMSInvalidStateException": "cancel its deletion",
    "NotFoundException": "no such key there: check its id and its region",
    "UnrecognizedClientException": "AWS doesn't know the credentials",
    "SomethingNewException": "look it up in AWS's documentation",
}


@pytest.mark.parametrize("code", CODES)
def test_what_kms_says_is_told_with_a_remedy(faulty: FaultyKms, folder: Path, code: str) -> None:
    faulty.fails(code)
    with pytest.raises(StartRefused, match=f"{CODES[code]}.*{code}"):
        RecordRoots(folder, Unlock()).get(1)
    assert faulty.calls == ["TrentService.Decrypt"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "can't be had"),
        (200, b"{}", "the answer holds none"),
        (200, b'{"Plaintext": "AAAA"}', "a root of 3 bytes, expected 32"),
        (503, b"busy", "can't be had"),
    ],
)
def test_what_is_no_answer_of_kms(
    faulty: FaultyKms, folder: Path, status: int, body: bytes, said: str
) -> None:
    faulty.status, faulty.body = status, body
    with pytest.raises(StartRefused, match=said):
        RecordRoots(folder, Unlock()).get(1)


def test_a_kms_that_hangs_is_not_waited_for(
    faulty: FaultyKms, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kms, "READ_SECONDS", 0.1)
    faulty.hangs = threading.Event()
    with pytest.raises(StartRefused, match=r"Read timeout.*that this machine reaches them"):
        RecordRoots(folder, Unlock()).get(1)
    assert len(faulty.calls) == kms.ATTEMPTS


def test_a_kms_that_is_down(kms_server: KmsServer, folder: Path) -> None:
    place = kms_server.place()
    RecordRoots(folder, Unlock()).create(1, place)
    path = folder / "record.root"
    path.write_text(path.read_text().replace(kms_server.url, "http://127.0.0.1:9"))
    with pytest.raises(StartRefused, match=r"Could not connect.*Check the endpoint"):
        RecordRoots(folder, Unlock()).get(1)


def test_a_kms_that_gives_another_root_is_not_begun_with(faulty: FaultyKms, folder: Path) -> None:
    (folder / "record.root").unlink()
    faulty.status = 200
    faulty.body = b'{"CiphertextBlob": "AAAA", "Plaintext": "%s="}' % (b"A" * 43)
    with pytest.raises(StartRefused, match="unwraps to something else"):
        RecordRoots(folder, Unlock()).create(1, faulty.place)
    assert list(folder.iterdir()) == []


def test_another_context_opens_nothing(kms_server: KmsServer, folder: Path) -> None:
    """In KMS's own log each call stands with what it was for."""
    place, roots = kms_server.place(), RecordRoots(folder, Unlock())
    roots.create(1, place)
    wrapped = json.loads(roots.path(1).read_text().partition(" ")[2])["wrapped"]
    client = kms_server.client()
    blob = b64decode(wrapped)
    context = {"app": "heartwood", "subject": "record.root", "version": "1"}
    opened = client.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
    assert opened == roots.get(1)
    for other in ({}, context | {"version": "2"}, context | {"subject": "x"}):
        with pytest.raises(client.exceptions.InvalidCiphertextException):
            client.decrypt(CiphertextBlob=blob, EncryptionContext=other)


Fault = Callable[[SoftToken, Pkcs11Place], tuple[Pkcs11Place, Unlock]]


def _two_keys(token: SoftToken, place: Pkcs11Place) -> tuple[Pkcs11Place, Unlock]:
    token.add_key("heartwood")
    return place, Unlock(pin=PIN)


def _of_another(name: str, **changed: str) -> Fault:
    def fault(token: SoftToken, place: Pkcs11Place) -> tuple[Pkcs11Place, Unlock]:
        if name == "key":
            token.add_key("other")
        return replace(place, **changed), Unlock(pin=PIN)

    return fault


TOKEN_FAULTS: dict[str, tuple[Fault, str]] = {
    "no PIN": (lambda token, place: (place, Unlock()), "wants its PIN: set HEARTWOOD_PKCS11_PIN"),
    "a wrong PIN": (lambda token, place: (place, Unlock(pin="99999")), "the PIN is wrong"),
    "no such token": (_of_another("token", token="gone"), "no token of that label.*initialised"),
    "no such key": (_of_another("label", label="gone"), "has 0 AES keys of the label gone, expected one: make it"),
    "another key": (_of_another("key", label="other"), "is of another key or another root"),
    "two keys": (_two_keys, "has 2 AES keys"),
    "no module": (_of_another("module", module="/nowhere.so"), "module can't be loaded"),
    "a library that is no module": (_of_another("module", module="/lib/x86_64-linux-gnu/libc.so.6"), "module can't be loaded"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKEN_FAULTS)
def test_a_token_that_does_not_give_it(token: SoftToken, folder: Path, name: str) -> None:
    fault, said = TOKEN_FAULTS[name]
    RecordRoots(folder, Unlock(pin=PIN)).create(1, token.place)
    place, unlock = fault(token, token.place)
    path = folder / "record.root"
    word, _, rest = path.read_text().partition(" ")
    path.write_text(f"{word} {json.dumps(json.loads(rest) | vars(place))}\n")
    with pytest.raises(StartRefused, match=said):
        RecordRoots(folder, unlock).get(1)


def test_a_pin_in_a_file(token: SoftToken, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.touch(0o600)
    pin.write_text(f"{PIN}\n")
    given: dict[str, Any] = {"data": tmp_path / "data", "pkcs11_pin_file": pin}
    settings = Settings.model_validate(given | {"record_root": token.setting})
    create_ledger(settings, ORIGIN)
    open_ledger(settings).close()
    pin.chmod(0o644)
    with pytest.raises(StartRefused, match="readable by others"):
        open_ledger(settings)
    pin.unlink()
    with pytest.raises(StartRefused, match="PIN_FILE can't be read"):
        open_ledger(settings)


# The setting.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vault:x", "expected file:, kms:KEY"),
        ("file:/elsewhere", "HEARTWOOD_ROOT names"),
        ("kms:", "a key's id, alias or ARN"),
        ("kms:k?zone=x", "of options region, endpoint, not 'zone'"),
        ("kms:k?region=x&region=y", "each option once"),
        ("kms:k?region", "name=value"),
        ("kms:k?endpoint=http://kms.example", "expected https://host"),
        ("pkcs11:softhsm.so?token=a&label=b", "with all three"),
        ("pkcs11:/softhsm.so?token=a", "with all three"),
        ("pkcs11:/softhsm.so?token=a&label=b&pin=1234", "holds a PIN: take it out"),
        ("pkcs11:/softhsm.so?token=a&label=", "the key's label"),
    ],
)
def test_what_is_no_place_of_a_root(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=said) as told:
        parse_root_place(text)
    assert "1234" not in str(told.value)
    settings = Settings.model_validate({"data": tmp_path / "data", "record_root": text})
    with pytest.raises(StartRefused):
        create_ledger(settings, ORIGIN)
    assert not (tmp_path / "data").exists()


def test_places_are_read_as_they_are_written() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert parse_root_place("") == FilePlace()
    assert parse_root_place(f"kms:{key}") == KmsPlace(key)
    assert parse_root_place("kms:k?endpoint=https://kms.example/") == KmsPlace(
        "k", "", "https://kms.example"
    )
    assert parse_root_place("pkcs11:/a%20b.so?token=Our+Token&label=k") == Pkcs11Place(
        "/a b.so", "Our Token", "k"
    )
