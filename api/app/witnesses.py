"""The witnesses of a ledger's own log, by the setting."""

from collections.abc import Sequence

from api.app.settings import Settings
from crypto.errors import FormError
from crypto.notes import VerifierKey
from durable.errors import StartRefused, StorageError
from ledger.errors import ProofError
from ledger.files import read_policy
from ledger.submitting import Answered, WitnessFailed
from ledger.witnesses import WitnessPolicy, outside_policy
from ledger.witnessing import Submission
from storage.cosigning import Ask
from storage.evidence import cosigned_by_keeper
from storage.ledger import Ledger

KEEPER = "keeper:"
"""Where the ledger's own key keeper is, as a policy says it."""


def witness_policy(settings: Settings, keys: Sequence[VerifierKey]) -> WitnessPolicy | None:
    """The policy that the setting names; None if it names none. `keys`: the log's.

    Raises StartRefused for one that can't be met: of other logs, or without URLs of enough witnesses.
    """
    path = settings.witness_policy
    if path is None:
        return None
    try:
        policy = outside_policy(read_policy(path) or b"", keys)
        policy.check_apart(keys)
    except (OSError, FormError, ProofError) as error:
        raise StartRefused(f"HEARTWOOD_WITNESS_POLICY: {path}: {error}") from error
    for name, url in policy.urls.items():
        if url != KEEPER and not url.startswith(("http://", "https://")):
            raise StartRefused(
                f"HEARTWOOD_WITNESS_POLICY: {path}: the witness {name} has {url!r}, expected http://…, https://… or {KEEPER}"
            )
    if not policy.met_by(list(policy.urls)):
        raise StartRefused(
            f"HEARTWOOD_WITNESS_POLICY: {path}: the quorum {policy.quorum} can't be met by those of its witnesses that "
            "have a URL (witness NAME VKEY URL)"
        )
    return policy


def asking(ledger: Ledger, over_http: Ask) -> Ask:
    """Asks witnesses over HTTP, and the ledger's own key keeper where it is."""

    def ask(url: str, body: bytes) -> Answered:
        if url != KEEPER:
            return over_http(url, body)
        try:
            return Answered(200, cosigned_by_keeper(ledger, Submission.parse(body).note))
        except StorageError as error:
            raise WitnessFailed(f"the key keeper: {error}") from error

    return ask
