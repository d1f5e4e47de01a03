"""A ledger and its three witnesses, each a process of its own (one of them not ours), from `serve` to `check --policy`."""

import signal
from pathlib import Path

import httpx2
import pytest

from api.app.witnessing import opened_witness
from client import registering
from client.http import HttpClient
from client.registering import NewPatient
from identity.actors import new_id, new_key, write_keyfile
from storage.clock import wall_clock
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import serving, until
from tests.support.witnesses import new_witness, witness_serving
from tests.tilereader.checkpoint import open_checkpoint
from tests.tilereader.witness import LittleWitness


def cosigned_size(url: str) -> int:
    """Of the newest checkpoint that met the policy."""
    return int(httpx2.get(f"{url}/v1/log/witnesses").json()["size"])


def good(url: str) -> list[bool]:
    """Whether each witness cosigned when it was last asked."""
    found = httpx2.get(f"{url}/v1/log/witnesses").json()
    return [one["good"] for one in found["witnesses"]]


def size(url: str) -> int:
    return int(httpx2.get(f"{url}/v1/log").json()["size"])


def registered(url: str, fixture: LedgerFixture) -> None:
    """Register a new patient over HTTP."""
    now = wall_clock()
    new = NewPatient(new_id("pt", now), new_id("ac", now), "Pat", None, False, new_key())
    far = HttpClient(url)
    try:
        registering.register_patients(far, fixture.north.system, [new])
    finally:
        far.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_from_serve_to_check(workers: int, fixture: LedgerFixture, tmp_path: Path) -> None:
    keys = fixture.ledger.vkeys
    fixture.close()
    foreign = LittleWitness("foreign.example/w", [str(key) for key in keys], bytes([3] * 32))
    names = ("one", "two")
    vkeys = [new_witness(tmp_path / n, keys, f"{n}.example/w")[i] for i, n in enumerate(names)]
    policy = tmp_path / "policy"
    key = write_keyfile(tmp_path / "system.key", fixture.north.system, None)
    with (
        witness_serving(tmp_path / "one") as one,
        witness_serving(tmp_path / "two") as two,
        foreign.serving() as third,
    ):
        policy.write_text(
            f"log {keys[0]}\nwitness one {vkeys[0]} {one}\nwitness two {vkeys[1]} {two}\n"
            f"witness foreign {foreign.vkey} {third}\ngroup q 2 one two foreign\nquorum q\n"
        )
        settings = fixture.settings.model_copy(update={"witness_policy": policy})
        with serving(settings, workers) as served:
            url = served.url
            registered(url, fixture)
            until(lambda: cosigned_size(url) == size(url), "all of it is cosigned")
            seq, receipt = size(url) - 1, tmp_path / "receipt"
            asked = ("receipt", seq, "--as", key, "--url", url, "--out", receipt, "--json")
            assert heartwood(settings, *asked).json["final"] is True
            outside = ("--vkey", fixture.settings.data / "log.vkey", "--policy", policy)
            assert heartwood(settings, "check", receipt, *outside).code == 0
            against = heartwood(settings, "check", receipt, *outside, "--against", url)
            assert against.code == 0, against.err
            note = httpx2.get(f"{url}/v1/log/cosigned").content
            assert open_checkpoint(note, [str(key) for key in keys]).size == seq + 1
            served.stop(signal.SIGKILL)
    # Without its witnesses the log goes on, and says what is not cosigned.
    with serving(settings, workers) as served:
        url = served.url
        registered(url, fixture)
        assert cosigned_size(url) == seq + 1 < size(url)
        late = ("receipt", size(url) - 1, "--as", key, "--url", url, "--json")
        assert heartwood(settings, *late).json["final"] is False
        until(lambda: not any(good(url)), "each of them is found to be down")
    told = heartwood(settings, "status").out
    assert f"witness one: {seq + 1} entries cosigned" in told and "does not answer" in told
    left_out = heartwood(settings, "export", tmp_path / "export", "--json")
    assert left_out.json["size"] == seq + 1 and left_out.json["left_out"] > 0
    verified = heartwood(settings, "verify", tmp_path / "export", *outside)
    assert verified.code == 0 and "as the policy demands" in verified.out
    newest = heartwood(settings, "export", tmp_path / "newest", "--newest", "--json")
    assert newest.json["left_out"] == 0
    assert heartwood(settings, "verify", tmp_path / "newest", *outside[:2]).code == 0
    refused = heartwood(settings, "verify", tmp_path / "newest", *outside)
    assert refused.code == 1 and "quorum q is not met" in refused.err
    for name in names:
        with opened_witness(tmp_path / name, None) as witness:
            (state,) = witness.store.logs()
            assert state.size == seq + 1 and not state.refused
    fixture.reopen()
