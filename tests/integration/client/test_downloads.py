"""Ciphertext straight from the blob store: only for who opens it at the own end, only of that blob, only for a minute."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.app.settings import Settings
from client.connection import Connection
from client.downloads import download
from client.http import HttpClient
from crypto.blobs import blob_context, open_stream, sealed_length
from crypto.encoding import b64encode
from crypto.shares import open_share, share_info
from identity.actors import new_id
from journeys.errors import AccessDenied
from ledger.errors import Tampered
from records.opening import LINK_SECONDS, Link, OpenedRecord
from records.uploads import BLOB_LIMIT
from storage.blobs.files import FileBlobs, Member
from storage.blobs.place import open_place
from storage.blobs.quorum import QuorumBlobs
from storage.blobs.s3 import S3Blobs
from storage.clock import wall_clock
from storage.errors import BadBlob, BlobError, Unavailable
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.lying_s3 import LyingS3, Reply
from tests.support.server import serving
from tests.support.versitygw import Gateway

CONTENT = os.urandom(12_000_000)


class Served:
    """A ledger on S3 with a server over it, and one record."""

    def __init__(self, fixture: LedgerFixture, client: HttpClient, url: str) -> None:
        self.fixture, self.client, self.url = fixture, client, url
        self.pat = fixture.person()
        self.up = fixture.record(self.pat, CONTENT)
        self.private = X25519PrivateKey.generate()

    def event(self, person: Person, reply: bool = True) -> dict[str, Any]:
        """A reading of the record."""
        receiver = self.private.public_key().public_bytes_raw()
        body = {"blob": self.up.blob, "purpose": "PATRQT", "record": self.up.record, "version": 1}
        body |= {"reply": b64encode(receiver)} if reply else {}
        return person.actor.event("record.opened", self.pat.stream, body, wall_clock())

    def plain(self, event: dict[str, Any], shown: OpenedRecord) -> bytes:
        """What the reader makes of it."""
        assert shown.share is not None
        receiver = self.private.public_key().public_bytes_raw()
        info = share_info(self.pat.patient, event["id"], receiver, self.up.blob)
        key = open_share(self.private.private_bytes_raw(), info, shown.share)
        context = blob_context(self.pat.patient, self.up.record, self.up.blob)
        return b"".join(open_stream(key, context, shown.content))


def on(settings: Settings) -> Iterator[Served]:
    """Found a ledger there and serve it."""
    fixture = LedgerFixture.found(settings)
    with serving(settings) as served:
        client = HttpClient(served.url, vkeys=fixture.ledger.vkeys)
        yield Served(fixture, client, served.url)
        client.close()
    fixture.verify()
    fixture.close()


@pytest.fixture
def served(gateway: Gateway, tmp_path: Path) -> Iterator[Served]:
    yield from on(Settings(data=tmp_path / "data", blobs=gateway.setting(gateway.place())))


def test_the_ciphertext_comes_from_the_store(served: Served) -> None:
    """It is what the entry says, by ranges too, and opens with the share alone."""
    event = served.event(served.pat)
    shown = served.client.open(served.pat.actor, event, linked=True)
    link = shown.link
    assert link is not None and link.seconds == LINK_SECONDS == 60
    assert link.length == sealed_length(len(CONTENT)) and link.sha256 == served.up.sha256
    part = httpx2.get(link.url, headers={"Range": "bytes=10-19"})
    whole = httpx2.get(link.url)
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert CONTENT[:1_000] not in whole.content
    assert served.plain(event, shown) == CONTENT
    assert shown.entry.event.id == event["id"]


def test_nobody_else_gets_a_link(served: Served) -> None:
    """Not without `reply`, not unasked, and not who has no consent; what isn't understood is refused, unwritten."""
    shown = served.client.open(served.pat.actor, served.event(served.pat, reply=False), linked=True)
    assert shown.link is None and b"".join(shown.content) == CONTENT
    event = served.event(served.pat)
    unasked = served.client.open(served.pat.actor, event)
    assert unasked.link is None and served.plain(event, unasked) == CONTENT
    other = served.fixture.person()
    with pytest.raises(AccessDenied):
        served.client.open(other.actor, served.event(other), linked=True)
    size = served.fixture.size()
    signed = {"event": served.event(served.pat), "sig": "x"}
    answer = httpx2.post(
        f"{served.url}/v1/records/{served.up.record}/content",
        json=signed,
        headers={"Heartwood-Download": "yes"},
    )
    assert answer.status_code == 400 and "expected url or no such header" in answer.text
    assert served.fixture.size() == size


def test_an_altered_link_gives_nothing(served: Served) -> None:
    """Not another blob, not another time, not another method, not a listing."""
    other = served.fixture.record(served.pat, b"another's")
    shown = served.client.open(served.pat.actor, served.event(served.pat), linked=True)
    assert shown.link is not None
    url, blob = shown.link.url, served.up.blob
    altered = (
        url.replace(f"/{blob[-2:]}/{blob}", f"/{other.blob[-2:]}/{other.blob}"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        url.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        url.partition("?")[0],
        url.replace(f"/{blob[-2:]}/{blob}", ""),
    )
    for bad in altered:
        assert bad != url and httpx2.get(bad).status_code in (400, 403), bad
    for method in ("PUT", "DELETE"):
        assert httpx2.request(method, url).status_code in (400, 403)
    assert httpx2.get(url).status_code == 200


def test_a_link_ends(gateway: Gateway) -> None:
    store, blob = open_place(gateway.place()), new_id("bl", wall_clock())
    store.put(blob, [b"sealed"])
    (url,) = store.links(blob, 6, 5)
    assert httpx2.get(url).content == b"sealed"
    while httpx2.get(url).status_code == 200:
        time.sleep(0.2)
    assert httpx2.get(url).status_code in (400, 403)


def test_a_link_is_for_what_is_there(gateway: Gateway, tmp_path: Path) -> None:
    """Of an object of another length, or none, there is no link; of a folder never; its host may be another."""
    place, blob = gateway.place(), new_id("bl", wall_clock())
    store = open_place(place)
    with pytest.raises(BlobError, match="is not in the blob store"):
        store.links(blob, 6, 60)
    store.put(blob, [b"sealed"])
    with pytest.raises(BadBlob, match="has 6 bytes, its entry says 7"):
        store.links(blob, 7, 60)
    folder = FileBlobs(tmp_path)
    folder.put(blob, [b"sealed"])
    assert folder.links(blob, 6, 60) == ()
    elsewhere = S3Blobs(replace(place, public_endpoint="https://blobs.hospital.example"))
    (url,) = elsewhere.links(blob, 6, 60)
    assert url.startswith(f"https://blobs.hospital.example/{place.bucket}/w/")


def test_a_folder_streams(tmp_path: Path) -> None:
    """Where there are no links the content comes as ever, also to who would take one."""
    for served in on(Settings(data=tmp_path / "data")):
        event = served.event(served.pat)
        shown = served.client.open(served.pat.actor, event, linked=True)
        assert shown.link is None and served.plain(event, shown) == CONTENT


def test_of_several_stores_the_first_that_has_links(gateway: Gateway, tmp_path: Path) -> None:
    blobs = f"here=file:{tmp_path / 'here'} there={gateway.setting(gateway.place())}"
    for served in on(Settings(data=tmp_path / "data", blobs=blobs)):
        event = served.event(served.pat)
        shown = served.client.open(served.pat.actor, event, linked=True)
        assert shown.link is not None and served.plain(event, shown) == CONTENT


def test_the_client_believes_no_link(served: Served) -> None:
    """Another hash, another length, plain HTTP elsewhere, a link that ended: told, and without the link in the words."""
    shown = served.client.open(served.pat.actor, served.event(served.pat), linked=True)
    link = shown.link
    assert link is not None
    with pytest.raises(Tampered, match="does not have the SHA-256"):
        b"".join(download(replace(link, sha256=bytes(32)), served.url))
    with pytest.raises(Tampered, match="has more than"):
        b"".join(download(replace(link, length=link.length - 1), served.url))
    with pytest.raises(Unavailable, match="was cut short"):
        b"".join(download(replace(link, length=link.length + 1), served.url))
    for url in ("http://192.0.2.1/x", "file:///etc/passwd", "ftp://localhost/x"):
        with pytest.raises(Tampered, match="expected https://"):
            b"".join(download(replace(link, url=url), served.url))
    ended = replace(link, url=link.url.replace("X-Amz-Signature=", "X-Amz-Signature=0"))
    with pytest.raises(Unavailable) as told:
        b"".join(download(ended, served.url))
    assert "Signature" not in str(told.value) and "did not give the download" in str(told.value)


def _altered(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def _cut(body: bytes) -> bytes:
    return body[:-1]


@pytest.mark.parametrize("wrong", [_altered, _cut, None], ids=["altered", "cut short", "gone"])
def test_a_link_to_wrong_bytes_leads_on_to_another_store(
    gateway: Gateway, tmp_path: Path, wrong: Callable[[bytes], bytes] | None
) -> None:
    """The reader finds it by the hash, gets the right bytes elsewhere, and none of the wrong ones; no second entry."""
    first, second = gateway.place(), gateway.place()
    blobs = f"one={gateway.setting(first)} two={gateway.setting(second)}"
    for served in on(Settings(data=tmp_path / "data", blobs=blobs)):
        event, s3 = served.event(served.pat), gateway.client()
        shown = served.client.open(served.pat.actor, event, linked=True)
        link, size = shown.link, served.fixture.size()
        assert link is not None and len(link.others) == 1
        assert first.bucket in link.url and second.bucket in link.others[0]
        key = f"{first.prefix}{served.up.blob[-2:]}/{served.up.blob}"
        body = s3.get_object(Bucket=first.bucket, Key=key)["Body"].read()
        if wrong is None:
            s3.delete_object(Bucket=first.bucket, Key=key)
        else:
            s3.put_object(Bucket=first.bucket, Key=key, Body=wrong(body))
        assert served.plain(event, shown) == CONTENT and served.fixture.size() == size
        s3.put_object(Bucket=second.bucket, Key=key, Body=_altered(body))
        s3.put_object(Bucket=first.bucket, Key=key, Body=_altered(body))
        with pytest.raises(Tampered, match="does not have the SHA-256"):
            next(download(link, served.url))


def _problem(kind: str, **members: Any) -> Reply:
    """A store's answer that looks like the ledger's."""
    told = {"type": f"urn:heartwood:problem:{kind}", "detail": "so it is", **members}
    return Reply(403, json.dumps(told).encode())


@pytest.mark.parametrize(
    "answer",
    [
        _problem("denied", rule="R1", reason="nobody"), _problem("already_used", seq=1), _problem("not_signed_in"),
        _problem("outcome_unknown"), _problem("blob_store"), _problem("keeper_unavailable"), _problem("not_found"),
        _problem("quota"), _problem("denied"), Reply(302, b"", {"Location": "http://127.0.0.1:1/"}),
        Reply(500, b" " * 20_000_000),
    ],
)  # fmt: skip
def test_no_store_speaks_for_the_ledger(answer: Reply) -> None:
    """Whatever the first one answers, the reader goes on to the next; without one it is told that the store failed."""
    with LyingS3() as one, LyingS3() as two:
        stores = [Member("one", S3Blobs(one.place)), Member("two", S3Blobs(two.place))]
        both, blob = QuorumBlobs(stores, 2), new_id("bl", wall_clock())
        both.put(blob, [b"sealed"])
        first, second = both.links(blob, 6, 60)
        link = Link(first, 6, hashlib.sha256(b"sealed").digest(), 60, (second,))
        one.always[""] = lambda server, request: answer
        assert b"".join(download(link, "http://127.0.0.1")) == b"sealed"
        two.always[""] = one.always[""]
        with pytest.raises(Unavailable, match="did not give the download; no store gave it right"):
            next(download(link, "http://127.0.0.1"))
        with pytest.raises(Unavailable, match="did not give the download"):
            next(download(replace(link, others=()), "http://127.0.0.1"))


@pytest.mark.parametrize("size", [BLOB_LIMIT + 1, 1 << 60, -1])
@pytest.mark.parametrize("linked", [False, True])
def test_no_content_is_larger_than_a_record_may_be(
    served: Served, monkeypatch: pytest.MonkeyPatch, size: int, linked: bool
) -> None:
    """What a server says of it is no bound: it and its store would fill the reader's disk."""
    opened = Connection.open

    def lie(self: Connection, *arguments: Any, **options: Any) -> httpx2.Response:
        response = opened(self, *arguments, **options)
        response.headers["Heartwood-Size"] = str(size)
        return response

    monkeypatch.setattr(Connection, "open", lie)
    with pytest.raises(
        Tampered, match=f"the server says {size} bytes of content, expected at most"
    ):
        served.client.open(served.pat.actor, served.event(served.pat), linked=linked)


def test_a_link_asks_one_store(tmp_path: Path) -> None:
    with LyingS3() as one, LyingS3() as two:
        stores = [Member("one", S3Blobs(one.place)), Member("two", S3Blobs(two.place))]
        both, blob = QuorumBlobs(stores, 2), new_id("bl", wall_clock())
        both.put(blob, [b"sealed"])
        asked = (len(one.asked), len(two.asked))
        assert len(both.links(blob, 6, 60)) == 2
        assert (len(one.asked), len(two.asked)) == (asked[0] + 1, asked[1])
        one.objects.clear()
        assert len(both.links(blob, 6, 60)) == 1
