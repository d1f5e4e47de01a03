"""Going on under a newer program: the operator names its registry in the log, for all to see."""

from client.beside import append
from crypto.encoding import b64encode
from identity.actors import Actor
from ledger.editions import edition_of
from ledger.policies import last_policy
from ledger.registry import EDITION, registry_hash
from storage.ledger import Ledger
from storage.reader import LogReader


def edition(ledger: LogReader) -> int:
    """The edition of the registry that the log named last."""
    return edition_of(ledger.head().registry) or EDITION


def name_registry(ledger: Ledger, operator: Actor) -> int:
    """Append `policy.changed` with this program's registry and the policy named last; gives the entry."""
    last = last_policy(ledger.policies())
    body = {"policy": last.policy, "registry": b64encode(registry_hash())}
    event = operator.event("policy.changed", "ledger", body, ledger.clock())
    event |= {"v": 2 if "professions" in last.policy else 1}
    return append(ledger, operator, [event])[0].link.seq
