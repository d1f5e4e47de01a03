"""Both factors lost: the service, whose operator has identified the person, puts in a key by recovery.

It counts 24 hours after its entry, the account is told at once, and any older key may revoke it until then; the hospital that
registered an account does the same by signing `key.registered` itself.
"""

from identity.actors import Caller
from identity.strength import check_strong
from journeys.appending import submit
from journeys.errors import Forbidden, RecordsError
from ledger.directory import Account, Key
from ledger.types import REGISTRY
from people.joining import Registered, checked_key, key_body
from storage.ledger import Ledger

SERVICE = "service"


def open_recovery(
    ledger: Ledger, caller: Caller, account: str, public_key: bytes, proof: bytes
) -> Registered:
    """Append `key.registered` by recovery, signed by the service; the same again for a retry.

    The operator alone may, as `check_strong` demands, for an account that the service registered. Raises Forbidden, Refused for
    a proof of possession that doesn't hold, RecordsError.
    """
    if caller.role != "operator":
        raise Forbidden("the operator, who identified the person, opens a recovery for the service")
    check_strong(ledger, caller)
    key = checked_key(ledger, account, public_key, proof)
    row = ledger.row(Account, account)
    if row is None or row.registrar != SERVICE:
        raise RecordsError(
            "got an account that the service did not register: the hospital that did recovers it"
        )
    stood = ledger.row(Key, key)
    if stood is not None and stood.account == account:
        return Registered(account, key, stood.seq)
    body = key_body(account, key, public_key, proof) | {"recovery": True}
    put_in = ledger.log.by_service(REGISTRY["key.registered", 1], f"account/{account}", body)
    return Registered(account, key, submit(ledger, [put_in], atomic=True)[0].link.seq)
