"""Parts of a large record over HTTP, and content sealed to its reader."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from client import authoring
from crypto.blobs import blob_context, open_stream
from crypto.encoding import b64decode, b64encode
from crypto.shares import open_share, share_info
from records import ranges
from records.uploads import Upload
from tests.support.server import bearer, kind_of
from tests.support.server_fixture import BIG, ServedChart


@pytest.fixture(scope="module")
def big(server: ServedChart) -> str:
    """A record of several chunks."""
    one = Upload(server.pat.patient, "imaging", "image/png", [BIG])
    return authoring.upload(server.client, server.fixture.north.system, one).record


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, len(BIG)),
        ("bytes=0-0", 0, 1),
        ("bytes=16383-16384", 16_383, 16_385),
        ("bytes=100-199", 100, 200),
        ("bytes=199999-", 199_999, 200_000),
        ("bytes=199990-99999999", 199_990, 200_000),
        ("bytes=-7", 199_993, 200_000),
        ("bytes=-999999", 0, 200_000),
    ],
)
def test_a_range_is_that_part(
    server: ServedChart, big: str, asked: str, start: int, end: int
) -> None:
    token = server.open(server.pat.actor, big).headers["heartwood-read-token"]
    headers = bearer(token) | {"Range": asked}
    answer = server.web.get(f"/v1/records/{big}/content", headers=headers)
    assert (answer.status_code, answer.content == BIG[start:end]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BIG)}"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "asked",
    ["bytes=200000-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1",
     "bytes=١-٢", "", "bytes=999999999999999999999-"],
)  # fmt: skip
def test_what_is_no_range_of_it_is_a_problem(server: ServedChart, big: str, asked: str) -> None:
    token = server.open(server.pat.actor, big).headers["heartwood-read-token"]
    headers = {b"Authorization": f"Bearer {token}".encode(), b"Range": asked.encode()}
    answer = server.web.client.get(f"/v1/records/{big}/content", headers=headers)
    assert (kind_of(answer), answer.status_code) == ("range", 416)


def test_a_read_token_is_for_one_record_and_a_minute(server: ServedChart, big: str) -> None:
    """It is no session, and a session is no read token."""
    web, clock = server.web, server.clock
    token = server.open(server.pat.actor, big).headers["heartwood-read-token"]
    path = f"/v1/records/{big}/content"
    assert (
        kind_of(web.get(f"/v1/records/{server.records['old']}/content", headers=bearer(token)))
        == "not_found"
    )
    assert kind_of(web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    assert kind_of(web.get(path, server.pat.actor)) == "not_found"
    assert kind_of(web.get(path)) == "not_signed_in"
    for ahead, kind in ((ranges.TOKEN_MS - 2_000, "206"), (ranges.TOKEN_MS, "not_found")):
        clock.ahead = ahead
        try:
            assert kind_of(web.get(path, headers=bearer(token))) == kind
        finally:
            clock.ahead = 0


def test_a_reading_may_be_opened_at_the_readers_end(server: ServedChart, big: str) -> None:
    """With `reply` the ciphertext comes, and the key for that one-time key alone; no token."""
    private = X25519PrivateKey.generate()
    receiver = private.public_key().public_bytes_raw()
    sent = server.reading(server.pat.actor, big, reply=b64encode(receiver))
    answer = server.web.post(f"/v1/records/{big}/content", sent)
    assert "heartwood-read-token" not in answer.headers and BIG not in answer.content
    patient, blob = server.pat.patient, sent["event"]["body"]["blob"]
    info = share_info(patient, sent["event"]["id"], receiver, blob)
    share = b64decode(answer.headers["heartwood-share"])
    key = open_share(private.private_bytes_raw(), info, share)
    content = open_stream(key, blob_context(patient, big, blob), iter([answer.content]))
    assert b"".join(content) == BIG
    event = server.event(server.pat.actor, "record.opened", sent["event"]["body"])
    shown = server.client.open(server.pat.actor, event)
    assert shown.share is not None and b"".join(shown.content) == answer.content


def test_a_reply_key_that_opens_nothing_is_refused_before_it_is_written(
    server: ServedChart, big: str
) -> None:
    size = server.fixture.size()
    for receiver in (bytes(32), bytes([1, *bytes(31)])):
        sent = server.reading(server.pat.actor, big, reply=b64encode(receiver))
        assert kind_of(server.web.post(f"/v1/records/{big}/content", sent)) == "malformed"
    assert server.fixture.size() == size
