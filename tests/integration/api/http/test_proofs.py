"""What an answer can be held to, over HTTP: receipts, histories, explanations, the log itself."""

import hashlib
import itertools
from pathlib import Path

import pytest

from client import grants, readings
from client.local import LocalClient
from crypto.encoding import b64decode, b64encode
from identity.actors import new_id
from journeys.questions import Question
from ledger.merkle import check_consistency
from ledger.tiles import tree_paths_of
from tests.support.ledger_fixture import vkeys
from tests.support.server import bearer, good, kind_of, problem
from tests.support.server_fixture import (
    OWN,
    ServedChart,
    new_auditor,
    new_doctor,
    new_patient,
    question_of,
)
from tests.tilereader import check_proof, open_checkpoint, read_log
from tests.tilereader import leaf_hash as leaf_of


def test_a_receipt_is_for_whom_the_entry_concerns(server: ServedChart) -> None:
    """Actor, the hospital's admin, patient, auditor; 404 for others, the same as for an entry that isn't there."""
    client, web, pat, fixture = server.client, server.web, server.pat, server.fixture
    doctor, other = new_doctor(client, fixture), new_doctor(client, fixture)
    seq = grants.grant(client, pat.actor, pat.patient, doctor.account)[1]
    opened = int(server.open(doctor, server.records["old"]).headers["heartwood-entry"])
    refused = fixture.size()
    assert not server.readable(other, server.records["old"])
    auditor = new_auditor(server)
    stranger = new_patient(client, fixture).actor
    entitled = {
        seq: (pat.actor, auditor),
        opened: (doctor, fixture.south.admin, pat.actor, auditor),
        refused: (pat.actor, auditor),
        0: (fixture.operator, auditor),
    }
    everybody = (pat.actor, doctor, other, fixture.south.admin, fixture.north.system, fixture.operator, stranger, auditor)  # fmt: skip
    for number, who in itertools.product(entitled, everybody):
        answer = web.get(f"/v1/receipts/{number}", who)
        if who not in entitled[number]:
            assert kind_of(answer) == "not_found", (number, who.role)
            assert str(number) in problem(answer)["detail"]
            continue
        assert answer.headers["heartwood-receipt"] in ("final", "provisional")
        assert answer.headers["cache-control"] == "private, no-store"
        found = check_proof(answer.content, vkeys(fixture.settings))
        assert found == (number, fixture.ledger.entry(number).raw)
    gone = web.get("/v1/receipts/1000000", stranger)
    assert (
        problem(gone)["detail"].replace("1000000", "0")
        == problem(web.get("/v1/receipts/0", stranger))["detail"]
    )


def test_the_history_is_complete(server: ServedChart) -> None:
    """Every entry of the stream, with the refusals, to the very look; auditors see no names."""
    client, pat, doctor = server.client, server.pat, new_doctor(server.client, server.fixture)
    refused = server.fixture.size()
    assert not server.readable(doctor, server.records["old"])
    history = readings.history(client, pat.actor, pat.patient, "PATRQT")
    stream = server.fixture.ledger.stream(pat.stream, server.fixture.size())
    assert history.entries == tuple(entry.raw for entry in stream)
    act = next(act for act in history.acts() if act.seq == refused)
    assert (act.actor, act.effect, act.rule) == (doctor.account, "deny", "S12")
    assert history.names[server.fixture.south.hospital] == "Südklinik"
    assert history.names[doctor.account] == "Dr. Ö"
    seen = readings.history(client, new_auditor(server), pat.patient, "HLEGAL")
    assert seen.names == {} and seen.entries[:-1] == history.entries


def test_the_explanation_says_what_the_reading_will(server: ServedChart) -> None:
    """For each record and asker; asking appends nothing; about others only patients and auditors may ask."""
    client, pat, doctor = server.client, server.pat, new_doctor(server.client, server.fixture)
    grants.grant(
        client, pat.actor, pat.patient, doctor.account, what={"categories": ["laboratory"]}
    )
    for record in server.records.values():
        size = server.fixture.size()
        asked = Question(
            pat.patient, doctor.account, "doctor", doctor.hospital, "read", "TREAT", record
        )
        effects = {
            client.why(who, asked).explanation.decision.effect for who in (doctor, pat.actor)
        }
        assert server.fixture.size() == size
        assert effects == {"permit" if server.readable(doctor, record) else "deny"}
    question = question_of(server, doctor, "")
    other = new_doctor(client, server.fixture)
    assert kind_of(server.web.post("/v1/decisions", question, other)) == "forbidden"
    assert kind_of(server.web.post("/v1/decisions", question, new_auditor(server))) == "200"
    someone = new_patient(client, server.fixture)
    assert kind_of(server.web.post("/v1/decisions", question, someone.actor)) == "forbidden"


def test_a_lookup_is_for_the_hospital_that_keeps_the_identifier(server: ServedChart) -> None:
    """And a second registration under it is told the patient that is known."""
    client, fixture = server.client, server.fixture
    person = new_patient(client, fixture, "urn:nord|4711")
    asked = ["urn:nord|4711", "urn:nord|4712"]
    found = (person.patient, person.actor.account)
    assert client.lookup(fixture.north.system, asked) == {"urn:nord|4711": found}
    assert client.lookup(fixture.south.system, asked) == {}
    answer = server.web.post("/v1/patients/lookup", {"identifiers": asked}, server.pat.actor)
    assert kind_of(answer) == "forbidden"
    now = server.clock()
    sent = {
        "event": new_id("ev", now), "id": new_id("pt", now), "identifier": "urn:nord|4711",
        "texts": {"name": "Ada"},
    }  # fmt: skip
    known = good(server.web.post("/v1/subjects", {"subjects": [sent]}, fixture.north.system))
    assert known == {"subjects": [{"id": person.patient, "known": True, "sealed": {}}]}


@pytest.mark.usefixtures("full_tile")
def test_an_auditor_fetches_the_whole_log(server: ServedChart, tmp_path: Path) -> None:
    """Tiles, bundles and checkpoint by HTTP alone; the tests' own reader finds them right."""
    web, auditor = server.web, new_auditor(server)
    event = auditor.event("log.opened", "ledger", {}, server.clock())
    opened = good(web.post("/v1/log/token", web.signed(event, auditor)))
    headers = bearer(opened["token"])
    note = web.get("/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "no-store"
    (tmp_path / "checkpoint").write_bytes(note.content)
    size = open_checkpoint(note.content, vkeys(server.fixture.settings)).size
    assert size > 256, "the log must have a full tile for this"
    for path in tree_paths_of(size):
        answer = web.get(f"/{path}", headers=headers)
        assert answer.headers["content-type"] == "application/octet-stream"
        public = "/entries/" not in path
        expected = "public, max-age=604800, immutable" if public else "private, no-store"
        assert answer.headers["cache-control"] == expected
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answer.content)
    entries = read_log(tmp_path, vkeys(server.fixture.settings))
    assert entries == [server.fixture.ledger.entry(seq).raw for seq in range(size)]


@pytest.mark.usefixtures("full_tile")
def test_partial_tiles_of_every_width(server: ServedChart) -> None:
    """A prefix of the full tile; what lies beyond the log's end isn't there."""
    web = server.web
    leaves = b"".join(leaf_of(server.fixture.ledger.entry(seq).raw) for seq in range(256))
    for width in range(1, 256):
        assert web.get(f"/tile/0/000.p/{width}").content == leaves[: width * 32]
    assert web.get("/tile/0/000").content == leaves
    number, width = divmod(server.fixture.size(), 256)
    last = f"/tile/0/{number:03d}.p"
    assert [kind_of(web.get(f"{last}/{w}")) for w in (width, width + 1)] == ["200", "not_found"]


@pytest.mark.usefixtures("full_tile")
@pytest.mark.parametrize(
    "path",
    ["0/999", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/300", "0/x000/000", "0/0", "00/000",
     "0/-01", "0/000.p/", "64/000", "63/000", "1/999", "0/x999/x999/x999/x999/999", "entries", "", "a/000",
     "0/000/", "0/%30%30%30", "../v1/log", "0/٠٠٠"],
)  # fmt: skip
def test_a_tile_that_is_not_there_is_not_found(server: ServedChart, path: str) -> None:
    web = server.web
    answer = web.client.get(f"{web.url}/tile/{path}")
    if path == "0/%30%30%30":  # the same address, written otherwise
        assert answer.status_code == 200
    elif path != "../v1/log":
        assert kind_of(answer) == "not_found"


@pytest.mark.usefixtures("full_tile")
def test_bundles_of_entries_are_for_auditors_in_term(server: ServedChart) -> None:
    """A token is given once, ends after an hour and with the term; it is no session."""
    web, auditor, clock = server.web, new_auditor(server), server.clock
    event = auditor.event("log.opened", "ledger", {}, clock())
    sent = web.signed(event, auditor)
    token = good(web.post("/v1/log/token", sent))["token"]
    again = web.post("/v1/log/token", sent)
    assert kind_of(again) == "already_used" and "token" not in again.json()
    path = "/tile/entries/000"
    assert kind_of(web.get(path, headers=bearer(token))) == "200"
    assert kind_of(web.get("/v1/me", headers=bearer(token))) == "not_signed_in"
    assert kind_of(web.get(path)) == "not_signed_in"
    assert kind_of(web.get(path, auditor)) == "not_signed_in"
    assert kind_of(web.get(path, server.pat.actor)) == "not_signed_in"
    clock.ahead = 3_600_000
    try:
        assert kind_of(web.get(path, headers=bearer(token))) == "not_signed_in"
    finally:
        clock.ahead = 0
    doctor = server.doctor
    for actor in (doctor, doctor.in_role("auditor"), server.fixture.operator):
        event = actor.event("log.opened", "ledger", {}, clock())
        assert kind_of(web.post("/v1/log/token", web.signed(event, actor))) in ("malformed", "role")
    ended = server.fixture.operator.event(
        "auditor.ended", "ledger", {"account": auditor.account}, clock()
    )
    server.client.append(server.fixture.operator, [ended])
    assert kind_of(web.get(path, headers=bearer(token))) == "not_signed_in"


def test_the_log_says_what_it_is(server: ServedChart) -> None:
    """Origin, keys, size; the registry's bytes are those whose hash it names."""
    found = good(server.web.get("/v1/log"))
    assert found["origin"] == server.fixture.ledger.origin
    assert found["vkeys"] == list(vkeys(server.fixture.settings))
    assert found["size"] == server.fixture.size()
    registry = server.web.get("/v1/log/registry")
    assert b64encode(hashlib.sha256(registry.content).digest()) == found["registry"]


def test_an_address_that_is_not_there_is_a_problem(server: ServedChart) -> None:
    web = server.web
    for path in ("/nothing", "/v1", "/v2/log", "/v1/records/rc_1/content", "/docs", "/tile"):
        assert web.client.get(path).status_code in (400, 404), path
        assert problem(web.client.get(path))
    answer = web.client.delete("/v1/log")
    assert (kind_of(answer), answer.headers["allow"]) == ("method", "GET")


def test_both_clients_answer_alike(server: ServedChart) -> None:
    """The same question beside the data and from afar."""
    local, remote, pat = LocalClient(server.fixture.ledger), server.client, server.pat
    assert local.consents(pat.actor, pat.patient) == remote.consents(pat.actor, pat.patient)
    assert local.charts(pat.actor) == remote.charts(pat.actor)
    assert local.policy() == remote.policy()
    record = server.records["old"]
    assert local.address(pat.actor, record) == remote.address(pat.actor, record)
    for client in (local, remote):
        with pytest.raises(ValueError, match=r"grant"):
            grants.revoke(client, pat.actor, pat.patient, server.fixture.north.hospital)


def test_an_answer_proves_itself_when_it_is_asked_to(server: ServedChart) -> None:
    """With `since`: the entries, and that the checkpoint extends the one of that size; not without."""
    web, pat, size = server.web, server.pat, server.fixture.size()
    old = open_checkpoint(web.get("/checkpoint").content, vkeys(server.fixture.settings))
    hide, show = (
        server.event(pat.actor, kind, {**OWN, "record": server.records["old"]})
        for kind in ("record.hidden", "record.shown")
    )
    plain = good(web.post("/v1/events", web.signed(hide, pat.actor)))
    assert "consistency" not in plain and "entry" not in plain["entries"][0]
    for query in (
        "since=0",
        f"since={size}",
        f"atomic=false&since={size}",
        f"since={size}&atomic=false",
    ):
        told = good(web.post(f"/v1/events?{query}", web.signed(show, pat.actor)))
        (one,) = told["entries"]
        assert one["entry"].encode() == server.fixture.ledger.entry(one["seq"]).raw
        new = open_checkpoint(told["checkpoint"].encode(), vkeys(server.fixture.settings))
        assert ("consistency" in told) == (query != "since=0")
        if "consistency" in told:
            proof = [b64decode(node, 32) for node in told["consistency"]]
            check_consistency(size, old.root, new.size, new.root, proof)
            again = good(web.get(f"/v1/log/consistency/{size}/{new.size}"))
            assert again == {"proof": told["consistency"]}
    for query in ("since=-1", "since=x", "since=1e3", f"since={1 << 53}"):
        assert kind_of(web.post(f"/v1/events?{query}", web.signed(show, pat.actor))) == "malformed"


def test_a_consistency_proof_is_between_sizes_that_were(server: ServedChart) -> None:
    size = server.fixture.size()
    for old, new in ((1, size), (size - 1, size), (1, 2), (5, 6), (size, size)):
        proof = [
            b64decode(n, 32)
            for n in good(server.web.get(f"/v1/log/consistency/{old}/{new}"))["proof"]
        ]
        roots = [server.fixture.ledger.root_at(one) for one in (old, new)]
        check_consistency(old, roots[0], new, roots[1], proof)
    for path, kind in (
        (f"1/{size + 1}", "not_found"), (f"{size + 1}/{size + 2}", "not_found"), ("0/1", "malformed"),
        ("2/1", "malformed"), ("01/2", "malformed"), ("a/2", "malformed"), (f"1/{10**15}", "malformed"),
    ):  # fmt: skip
        assert kind_of(server.web.get(f"/v1/log/consistency/{path}")) == kind, path
