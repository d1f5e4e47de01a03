"""A witness outside: in a process of its own it cosigns what the log publishes, and names a log that shows two faces."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.app.opening import open_ledger
from api.app.settings import Settings
from api.app.witnesses import KEEPER, asking, witness_policy
from api.app.witnessing import create_witness, opened_witness
from client import grants
from client.local import LocalClient
from client.witnesses import WitnessConnection
from crypto.texts import counted
from demo.people import Story
from demo.proofs import LIED
from demo.steps import DemoFailed, Steps, expect
from ledger.checkpoint import parse_keys
from ledger.files import read_vkeys
from ledger.witnesses import WitnessPolicy
from ledger.witnessing import Submission
from storage.cosigning import WitnessFeed
from storage.ledger import Ledger
from storage.sql.entries import Published
from witness.store import LogState

NAME = "witness.example/outside"
WAIT_SECONDS = 30
"""How long cosignatures are waited for; a checkpoint is published once a second."""
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Outside:
    """`heartwood witness serve` of a folder of its own, and what it says when it listens."""

    folder: Path
    vkeys: tuple[str, ...]
    process: subprocess.Popen[str]

    def url(self) -> str:
        """Where it listens, once it does."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        expect(" on http://" in said, f"a witness that says {said!r}")
        return said.split()[-1]


@contextmanager
def outside(place: Path, vkey: Path) -> Iterator[Outside]:
    """A new witness of the log whose verifier keys the file holds; its process starts beside the next steps."""
    folder, secret = place / "witness", Settings().secret()
    vkeys = create_witness(folder, NAME, secret)
    with opened_witness(folder, secret) as witness:
        witness.add_log(list(parse_keys(read_vkeys(vkey) or [])))
    command = [sys.executable, "-P", "-c", "from api.cli import main; main()"]
    command += ["witness", "serve", str(folder), "--port", "0"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        try:
            yield Outside(folder, vkeys, process)
        finally:
            process.kill()


@dataclass(frozen=True)
class Watched:
    """The witness at work, and the policy that demands its cosignature beside the keeper's."""

    outside: Outside
    url: str
    policy: Path


def witnessed(step: Steps, story: Story, settings: Settings, outside: Outside) -> Watched:
    """From here on a checkpoint is final once the witness and the key keeper cosigned it."""
    url = step(
        "a witness watches from outside",
        outside.url,
        lambda url: f"{NAME} at {url}, which sees sizes and hashes alone",
    )
    ledger, file = story.ledger, story.place / "policy"
    file.write_bytes(_policy(ledger, outside, url))
    policy = witness_policy(settings.model_copy(update={"witness_policy": file}), ledger.vkeys)
    if policy is None:
        raise DemoFailed("a policy that is none")
    ledger.witnesses = policy
    found = step(
        "it and the key keeper cosign the log",
        lambda: _cosigned(ledger, policy),
        lambda found: f"{counted(found.size, 'entry')}, under a policy that demands both",
    )
    expect(found.size == ledger.head().size, "a part of the log alone is cosigned")
    return Watched(outside, url, file)


def _policy(ledger: Ledger, outside: Outside, url: str) -> bytes:
    """Both must have cosigned; each by the shorter of its keys."""
    lines = [f"log {key}" for key in ledger.vkeys]
    lines.append(f"witness outside {outside.vkeys[0]} {url}")
    lines.append(f"witness keeper {ledger.keeper.vkeys()[0]} {KEEPER}")
    lines += ["group both all outside keeper", "quorum both"]
    return "".join(f"{line}\n" for line in lines).encode()


def _cosigned(ledger: Ledger, policy: WitnessPolicy) -> Published:
    """Have the whole log cosigned, as `heartwood serve` does all the time."""
    until = time.monotonic() + WAIT_SECONDS
    with (
        closing(WitnessConnection()) as connection,
        WitnessFeed(ledger, policy, asking(ledger, connection.ask)).running(),
    ):
        while time.monotonic() < until:
            found = ledger.cosigned()
            if found is not None and found.size == ledger.head().size:
                return found
            time.sleep(POLL_SECONDS)
    raise DemoFailed(f"the log wasn't cosigned within {WAIT_SECONDS} s")


def two_faces(step: Steps, story: Story, settings: Settings, watched: Watched) -> None:
    """The true log goes on; then the witness is shown the lying server's, which has as many entries, and others."""
    size = step(
        "the true log goes on, and is cosigned",
        lambda: _goes_on(story, settings, watched),
        lambda size: counted(size, "entry"),
    )
    state = step(
        "the witness is shown the lying one",
        lambda: _shown(watched, size, (story.place / LIED / "checkpoint").read_bytes()),
        lambda state: (
            f"{state.origin} has TWO HISTORIES, says the witness, and keeps what proves it"
        ),
    )
    expect(state.size == size, "the witness went on with the other history")


def _goes_on(story: Story, settings: Settings, watched: Watched) -> int:
    """One more act, and the witness's cosignature; how many entries it is of."""
    ledger = open_ledger(settings)
    try:
        before = ledger.head().size
        grants.grant(LocalClient(ledger), story.patient, story.chart, story.doctors[2].account)
        head = ledger.head()
        proof = tuple(ledger.prove(before, head.size))
        expect(_ask(watched, Submission(before, proof, head.checkpoint)) == 200, "not cosigned")
        return head.size
    finally:
        ledger.close()


def _shown(watched: Watched, size: int, note: bytes) -> LogState:
    """Submit the other history, and ask the witness how it stands to the log."""
    status = _ask(watched, Submission(size, (), note))
    expect(status == 422, f"the second history was answered {status}")
    with opened_witness(watched.outside.folder, Settings().secret()) as witness:
        (state,) = witness.store.logs()
    expect(any(one.two_faces for one in state.refused), "two histories, and no evidence")
    return state


def _ask(watched: Watched, submission: Submission) -> int:
    with closing(WitnessConnection()) as connection:
        return connection.ask(watched.url, submission.text()).status
