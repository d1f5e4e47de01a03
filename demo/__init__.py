"""End to end on generated data: every step asserts its outcome and prints one line."""

import time
from collections.abc import Callable
from pathlib import Path

from api.app.creating import create_ledger
from api.app.opening import open_ledger
from api.app.settings import Settings
from crypto.texts import counted
from demo.bucket import bucket
from demo.claims import claims
from demo.consent import consent
from demo.emergency import emergency
from demo.family import family
from demo.joining import joining
from demo.people import people
from demo.proofs import lying, proofs
from demo.referring import referral
from demo.remote import over_http
from demo.steps import MARKER, DemoFailed, Steps, prepare
from demo.telling import look_back, tell
from demo.witnessed import outside, two_faces, witnessed

__all__ = ["MARKER", "DemoFailed", "run"]


def run(place: Path, say: Callable[[str], None]) -> None:
    """Run the demo in `place`, which it makes, or wipes if it made it before. Raises DemoFailed."""
    began = time.perf_counter()
    prepare(place)
    step = Steps(say)
    settings = Settings(data=place / "ledger", database_url="", blobs="", root=None)
    created = step("a ledger is created", lambda: create_ledger(settings, "heartwood.example/demo"),
                   lambda c: f"{c.origin}, signed with Ed25519 and ML-DSA-44")  # fmt: skip
    ledger, vkey = open_ledger(settings), settings.data / "log.vkey"
    step.head = ledger.head
    with outside(place, vkey) as witness:
        try:
            story = people(step, place, ledger, created.operator)
            consent(step, story)
            claims(step, story)
            over_http(step, story)
            joining(step, story)
            emergency(step, story)
            family(step, story)
            referral(step, story)
            seen = look_back(step, story)
            watched = witnessed(step, story, settings, witness)
            found = proofs(step, story, vkey, watched.policy)
        finally:
            step.head = None
            ledger.close()
        found = lying(step, story, settings, found)
        two_faces(step, story, settings, watched)
    bucket(step, place)
    path = tell(step, story, seen, found)
    took = time.perf_counter() - began
    say(f"all of it held; {counted(step.count, 'step')} in {took:.1f} s. Open the story: {path}")
