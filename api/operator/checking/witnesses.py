"""The policy of the log's witnesses: that it can be met, who is asked, and that somebody outside is among them."""

from collections.abc import Iterator

from api.app.layout import pinned_keys
from api.app.settings import Settings
from api.app.witnesses import KEEPER, witness_policy
from api.operator.checking.findings import Finding, ok, unsafe, warning
from api.operator.checking.keeper import keeper_vkeys
from crypto.texts import counted
from durable.errors import StartRefused
from ledger.witnesses import WitnessPolicy


def check_witnesses(settings: Settings) -> Iterator[Finding]:
    """The policy of the setting, as `serve` reads it."""
    try:
        policy = witness_policy(settings, pinned_keys(settings))
    except StartRefused as error:
        yield unsafe("witnesses", f"{error}", "the service does not start: put the policy right")
        return
    if policy is None:
        yield warning(
            "witnesses",
            "nobody outside watches this log: a second history could be shown to somebody unnoticed",
            "name a policy of witnesses in HEARTWOOD_WITNESS_POLICY",
        )
        return
    yield from _asked(policy)
    own = [name for name, url in policy.urls.items() if url == KEEPER]
    if own:
        yield from _keepers_line(settings, policy, own)
    if policy.met_by(own):
        yield warning(
            "witnesses",
            "the quorum needs nobody outside: a second history could be shown to somebody unnoticed",
            "let the quorum demand a witness that somebody else runs",
        )
    else:
        words = f"{counted(len(policy.witnesses), 'witness')} in {settings.witness_policy}, quorum {policy.quorum}"
        yield ok("witnesses", words)


def _asked(policy: WitnessPolicy) -> Iterator[Finding]:
    silent = [name for name in policy.witnesses if name not in policy.urls]
    if silent:
        yield warning(
            "witnesses' URLs",
            f"never asked, since the policy has no URL of theirs: {', '.join(silent)}",
            "add it to the line: witness NAME VKEY URL",
        )


def _keepers_line(settings: Settings, policy: WitnessPolicy, own: list[str]) -> Iterator[Finding]:
    """Whether what the policy calls the keeper has the keeper's key, as far as the keeper can be asked."""
    found = keeper_vkeys(settings)
    if found is None:
        yield warning(
            "key keeper as a witness",
            "it doesn't run now, so its key in the policy was not compared",
            "run this beside the service",
        )
        return
    for name in own:
        if str(policy.witnesses[name]) not in found:
            yield unsafe(
                "key keeper as a witness",
                f"the policy's key of {name} is not the key keeper's: its cosignatures do not count",
                "put in the one that `heartwood keeper vkeys` prints",
            )
            return
    yield ok("key keeper as a witness", "the policy has its key")
