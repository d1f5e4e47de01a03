"""Both factors lost: the service, whose operator has identified the person, puts in a key by recovery.

It counts 24 hours after its entry, the account is told at once, and any older key may revoke it until then, and once the password
or a code of the account; the hospital that registered an account does the same by signing `key.registered` itself.
"""

from identity import onrecord
from identity.actors import Caller
from identity.addresses import account_named
from identity.errors import WrongProof
from identity.factors import recovery_act
from identity.onrecord import Change
from identity.proving import Proof, prove_one
from identity.strength import check_strong
from journeys.appending import submit
from journeys.errors import Forbidden, RecordsError
from ledger.directory import Account, Key, RecoveryRevoked, revocable
from ledger.editions import CONSENT
from ledger.types import REGISTRY
from people.joining import Registered, checked_key, key_body
from storage.ledger import Ledger

SERVICE = "service"
_WRONG = (
    "account, password or code is wrong, the code was used already, or there is no recovery that they may still revoke: they do so "
    "once, and what is opened after that goes on"
)
"""What everybody is told whose try revokes nothing, whatever was wrong with it."""


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


def revoke_recovery(ledger: Ledger, who: str, proof: Proof, address: str) -> int:
    """Revoke the recoveries of an account (its id or e-mail address) that wait, by its password, or else a code or a recovery
    code, each by itself; gives the entry. Once: after that it takes a later recovery that came to count (`revocable`).

    Raises RecordsError unless just one of them is shown; WrongProof, whatever is wrong; Throttled, Refused.
    """
    if sum(map(bool, (proof.password, proof.code, proof.recovery))) != 1:
        raise RecordsError("show one of these: the password, a code, or a recovery code")
    onrecord.check_takes(ledger, CONSENT, "revoking a recovery by a password or a code")
    account = account_named(ledger, who)
    proved = prove_one(ledger, account, proof, address, who)
    keys = ledger.rows(Key, "account", account) if account else ()
    before = ledger.row(RecoveryRevoked, account) if account else None
    if proved is None or not revocable(keys, before, ledger.clock()):
        raise WrongProof(_WRONG)
    credentials, version, changed = ledger.credentials, proved.kept.version, WrongProof(_WRONG)
    changes = [
        Change(lambda connection: credentials.unchanged(connection, account, version), changed),
        Change(lambda connection: proved.use(ledger, account, connection), changed),
    ]
    said = {"means": proved.second or "password"}
    acts = [("recovery.revoked", said), *recovery_act(proved)]
    return onrecord.put_with(ledger, onrecord.signed(ledger, account, acts), changes)[0].link.seq
