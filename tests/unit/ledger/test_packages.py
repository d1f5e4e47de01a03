"""Packages of referrals: what is in one opens whole by the one key, or not at all."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from crypto.blobs import Sealer, blob_context
from crypto.encoding import b64encode
from crypto.errors import CryptoError, FormError
from crypto.xwing import ReceivingKey, share_stored
from ledger.errors import ProofError
from ledger.packages import (
    BLOBS,
    HEAD_FILE,
    LIST_FILE,
    Package,
    PackageHead,
    PackedList,
    PackedVersion,
    committed,
    write_package,
)
from tests.golden.make import BLOB, PATIENT, RECORD, fixed_id, seed

KEY, DATA, SECRET = ReceivingKey(seed("receiving")), seed("a data key"), seed("a package key")
HEAD = PackageHead(
    fixed_id("ev", 1), KEY.id, PATIENT, fixed_id("hs", 2), fixed_id("ev", 2), fixed_id("hs", 1), ""
)
CONTENT = b"Haemoglobin 14.1 g/dl\n" * 2_000


def sealed(key: bytes, context: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Ciphertext and its SHA-256."""
    sealer = Sealer(key, context)
    out = sealer.update(content) + sealer.finalize()
    return out, sealer.sha256


CIPHERTEXT, SHA256 = sealed(DATA, blob_context(PATIENT, RECORD, BLOB), CONTENT)
VERSION = PackedVersion(
    BLOB, "laboratory", "2026-11-20", "blood.txt", b64encode(DATA), "text/plain", RECORD, b64encode(SHA256), len(CONTENT),
    "Blood count", 1,
)  # fmt: skip
LIST = PackedList((VERSION,), "A second opinion")


def made(
    head: PackageHead = HEAD, text: bytes = b"", ciphertext: bytes = CIPHERTEXT, **bent: Any
) -> dict[str, bytes]:
    """The files of a package, some of them bent."""
    share = share_stored(KEY.public, head.info, SECRET)
    head = replace(head, share=b64encode(share))
    listed, _ = sealed(SECRET, head.context, text or LIST.text())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for _ in write_package(
            archive, replace(head, **bent), listed, [(BLOB, iter([ciphertext]))]
        ):
            pass
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def opened(files: dict[str, bytes], key: ReceivingKey = KEY) -> list[bytes]:
    """The contents of a package."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with Package(out) as package:
        listed = package.opened(key)
        return [b"".join(package.content(one)) for one in listed.versions]


def test_it_opens_whole() -> None:
    assert made().keys() == {HEAD_FILE, LIST_FILE, f"{BLOBS}{BLOB}"}
    assert opened(made()) == [CONTENT]
    assert PackedList.parse(LIST.text()) == LIST
    assert committed(LIST.versions)[0] == 1


def _changed(name: str, place: int) -> dict[str, bytes]:
    files = made()
    bent = bytearray(files[name])
    bent[place] ^= 1
    return files | {name: bytes(bent)}


def _without(name: str) -> dict[str, bytes]:
    return {one: data for one, data in made().items() if one != name}


def _head(**bent: Any) -> dict[str, bytes]:
    value = json.loads(made()[HEAD_FILE]) | bent
    kept = {name: member for name, member in value.items() if member is not None}
    return made() | {HEAD_FILE: json.dumps(kept).encode()}


def _listing(**bent: Any) -> dict[str, bytes]:
    value = {"versions": [asdict(VERSION) | bent], "words": ""}
    return made(text=json.dumps(value).encode())


_OTHER = sealed(DATA, blob_context(PATIENT, RECORD, BLOB), CONTENT)[0]
ALTERED: dict[str, Callable[[], dict[str, bytes]]] = {
    "a byte of the list": lambda: _changed(LIST_FILE, 70),
    "the list's last byte": lambda: _changed(LIST_FILE, -1),
    "a byte of a content": lambda: _changed(f"{BLOBS}{BLOB}", 100),
    "a content cut short": lambda: made(ciphertext=CIPHERTEXT[:-1]),
    "a content of a chunk less": lambda: made(ciphertext=CIPHERTEXT[: 56 + 2 * 16_400]),
    "the same content sealed anew": lambda: made(ciphertext=_OTHER),
    "no content": lambda: _without(f"{BLOBS}{BLOB}"),
    "no list": lambda: _without(LIST_FILE),
    "no head": lambda: _without(HEAD_FILE),
    "another patient": lambda: made(patient="pt_00000000000000000000000009"),
    "another event": lambda: made(event=fixed_id("ev", 9)),
    "another referral": lambda: made(referral=fixed_id("ev", 9)),
    "another key": lambda: made(key=ReceivingKey(seed("other")).id),
    "another form": lambda: made(form=2),
    "a head that is no JSON": lambda: made() | {HEAD_FILE: b"{"},
    "a head that is a list": lambda: made() | {HEAD_FILE: b"[]"},
    "a deep head": lambda: made() | {HEAD_FILE: b"[" * 60_000},
    "a long head": lambda: made() | {HEAD_FILE: b" " * 100_000},
    "a member too few": lambda: _head(sender=None),
    "a member too many": lambda: _head(title="x"),
    "a form that is true": lambda: _head(form=True),
    "a share that is a number": lambda: _head(share=7),
    "a share that is no base64": lambda: _head(share="%"),
    "a line of another size": lambda: _listing(size=len(CONTENT) - 1),
    "a line of another hash": lambda: _listing(sha256=b64encode(bytes(32))),
    "a line that names a path": lambda: _listing(blob="../../etc/passwd"),
    "a line that names another record": lambda: _listing(record="rc_00000000000000000000000009"),
    "a line of version 0": lambda: _listing(version=0),
    "a line with another data key": lambda: _listing(key=b64encode(bytes(32))),
    "no lines": lambda: made(text=b'{"versions":[],"words":""}'),
    "words that are none": lambda: made(text=b'{"versions":[{}],"words":7}'),
}


@pytest.mark.parametrize("files", ALTERED.values(), ids=ALTERED)
def test_an_altered_one_opens_nothing(files: Callable[[], dict[str, bytes]]) -> None:
    with pytest.raises((CryptoError, ProofError)):
        opened(files())


def test_nobody_elses() -> None:
    with pytest.raises(FormError, match="sealed for"):
        opened(made(), ReceivingKey(seed("other")))


def test_two_files_of_one_name() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(HEAD_FILE, made()[HEAD_FILE])
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(HEAD_FILE, b"{}")
    with pytest.raises(FormError, match="two files"):
        Package(out)


def test_what_is_no_zip() -> None:
    with pytest.raises(FormError, match="not a package"):
        Package(io.BytesIO(b"PK"))
