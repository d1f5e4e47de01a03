"""Passkeys (WebAuthn Level 3): registered by a code or a key, and enough to sign in and to step up by, as user verification is a
second factor.

`webauthn` (py_webauthn) parses and verifies what authenticators send; its parsers and CBOR are not loaded before somebody uses
a passkey. A challenge is 32 bytes, counts once, for its purpose alone, at whichever server its
answer comes. What is kept are public keys.
"""

import json
import logging
import os
from collections.abc import Sequence
from typing import Any

from identity import onrecord
from identity.actors import Caller
from identity.errors import FactorConflict, IdentityError, NotSignedIn, WrongProof
from identity.factors import added_by, change_factor, shown_anew
from identity.onrecord import Change, counted
from identity.own import OwnPasskey, passkeys_of
from identity.proving import Proof, Proved
from identity.sessions import CHALLENGE_BYTES, Session
from identity.signing_in import SignIn, check_wanted_role, open_session, row_of, stepped_up
from identity.sites import Site
from identity.strength import check_known_by_two, check_strong
from ledger.editions import CONSENT
from storage.ledger import Ledger
from storage.sql.credentials import Kept
from storage.sql.passkeys import Passkey

PASSKEY_MS = 300_000
"""How long a passkey's challenge waits for its answer."""
PASSKEYS_MOST = 16
"""Most passkeys of one account."""
_REGISTERING, _SIGNING_IN, _STEPPING_UP = "passkey registration", "passkey", "passkey step-up"
_BY_PASSKEY = "stepping up by passkey"
WRONG = "the passkey is unknown, or its answer doesn't fit the challenge; a challenge counts once, for 5 minutes"
_LOG = logging.getLogger(__name__)


def registration_options(ledger: Ledger, caller: Caller, site: Site) -> dict[str, Any]:
    """What a browser's `navigator.credentials.create` takes; raises as `register_passkey` does."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    check_known_by_two(ledger, caller)
    onrecord.check_takes(ledger)
    challenge, now = os.urandom(CHALLENGE_BYTES), ledger.clock()
    options = generate_registration_options(
        rp_id=site.host,
        rp_name=ledger.origin,
        user_name=caller.account,
        user_id=caller.account.encode(),
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(row.credential)
            for row in ledger.credentials.passkeys.of(caller.account)
        ],
    )
    ledger.credentials.challenges.put(
        _REGISTERING, challenge, caller.account, now, now + PASSKEY_MS
    )
    told: dict[str, Any] = json.loads(options_to_json(options))
    return told


def register_passkey(
    ledger: Ledger, caller: Caller, site: Site, answer: dict[str, Any], proof: Proof, address: str
) -> OwnPasskey:  # fmt: skip
    """Keep a passkey, by what the browser answered; every other session by password ends.

    `proof`: a code or a recovery code, in a session by password. Raises SecondFactorNeeded for an account without one-time
    codes, WrongProof, KeyNeeded, FactorConflict, Throttled.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    kept = check_known_by_two(ledger, caller)
    onrecord.check_takes(ledger)
    challenge = _challenge(answer)
    proved = Proved(kept, "")
    if caller.key is None:
        proved = shown_anew(ledger, caller, proof, address)
    whose = ledger.credentials.challenges.take(_REGISTERING, challenge, ledger.clock())
    if whose != caller.account:
        raise WrongProof(WRONG)
    try:
        verified = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise WrongProof(WRONG) from error
    now = ledger.clock()
    row = Passkey(
        verified.credential_id, caller.account, verified.credential_public_key, verified.sign_count,
        now, now, 0,
    )  # fmt: skip
    if len(ledger.credentials.passkeys.of(caller.account)) >= PASSKEYS_MOST:
        raise FactorConflict(f"the account has {PASSKEYS_MOST} passkeys; remove one first")
    act = "factor.added", {"factor": "passkey"} | added_by(caller)
    change_factor(
        ledger, caller, proved, act,
        lambda connection: ledger.credentials.add_passkey(connection, row),
    )  # fmt: skip
    return passkeys_of(ledger, caller)[0]


def remove_passkey(ledger: Ledger, caller: Caller, name: str) -> None:
    """Remove one of the caller's own passkeys; every other session by password ends.

    After a step-up or in a session by key; no codes are asked for, so that it can always be done. Raises StepUpNeeded, KeyNeeded,
    FactorConflict, Throttled.
    """
    check_strong(ledger, caller)
    onrecord.check_takes(ledger)
    kept = ledger.credentials.of(caller.account)
    rows = ledger.credentials.passkeys.of(caller.account)
    found = next((row for row in rows if row.name == name), None)
    if kept is None or found is None:
        raise FactorConflict("the account has no such passkey")
    act = "factor.removed", {"factor": "passkey"} | added_by(caller)
    change_factor(
        ledger, caller, Proved(kept, ""), act,
        lambda connection: ledger.credentials.remove_passkey(connection, caller.account, found.credential),
    )  # fmt: skip


def sign_in_options(ledger: Ledger, site: Site) -> dict[str, Any]:
    """What a browser's `navigator.credentials.get` takes. It names no passkey, so that it tells nothing of accounts."""
    return _asked(ledger, site, _SIGNING_IN, "", ())


def step_up_options(ledger: Ledger, caller: Caller, site: Site, token: str) -> dict[str, Any]:
    """The like of it for a step-up of the session whose token it is, and of no other: it names the caller's own passkeys.

    Raises KeyNeeded, NotSignedIn, Refused; FactorConflict for whoever has no passkey.
    """
    onrecord.check_takes(ledger, CONSENT, _BY_PASSKEY)
    row = row_of(ledger, caller, token)
    own = [one.credential for one in ledger.credentials.passkeys.of(caller.account)]
    if not own:
        raise FactorConflict("the account has no passkey; step up by a code or a recovery code")
    return _asked(ledger, site, _STEPPING_UP, row.session, own)


def _asked(
    ledger: Ledger, site: Site, kind: str, value: str, own: Sequence[bytes]
) -> dict[str, Any]:
    """A fresh challenge of a kind, under which `value` is kept; `own`: the passkeys that may answer, or any."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    challenge, now = os.urandom(CHALLENGE_BYTES), ledger.clock()
    options = generate_authentication_options(
        rp_id=site.host,
        challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
        allow_credentials=[PublicKeyCredentialDescriptor(one) for one in own],
    )
    ledger.credentials.challenges.put(kind, challenge, value, now, now + PASSKEY_MS)
    told: dict[str, Any] = json.loads(options_to_json(options))
    return told


def sign_in_by_passkey(
    ledger: Ledger, site: Site, answer: dict[str, Any], role: str, hospital: str, address: str
) -> Session:
    """A session of assurance 2 for whoever has the passkey and was verified by it; raises NotSignedIn."""
    onrecord.check_takes(ledger)
    row, kept = _proved(ledger, site, answer, _SIGNING_IN, "", NotSignedIn)
    wanted = SignIn(row.account, Proof(), role, hospital)
    proved = Proved(kept, "passkey")
    check_wanted_role(ledger, row.account, wanted, proved)
    still = _there(ledger, row, NotSignedIn(WRONG))
    return open_session(ledger, row.account, wanted, proved, address, [still])


def step_up_by_passkey(
    ledger: Ledger, caller: Caller, token: str, site: Site, answer: dict[str, Any]
) -> Session:
    """The same session, sure of its owner for STRONG_MS, by a passkey of their own and a challenge that was given for this
    session; with another token. Raises WrongProof, KeyNeeded, NotSignedIn, Throttled, Refused.

    It counts among an account's acts of an hour, as nothing else bounds how often an authenticator answers: a code has its step.
    """
    onrecord.check_takes(ledger, CONSENT, _BY_PASSKEY)
    session = row_of(ledger, caller, token)
    row, kept = _proved(ledger, site, answer, _STEPPING_UP, session.session, WrongProof)
    if row.account != session.account:
        raise WrongProof(WRONG)
    still = [_there(ledger, row, WrongProof(WRONG)), counted(ledger, kept, row.account)]
    return stepped_up(ledger, session, Proved(kept, "passkey"), still)


def _there(ledger: Ledger, row: Passkey, otherwise: IdentityError) -> Change:
    """That the passkey is still kept, as what it is shown for is done."""
    there = ledger.credentials.passkeys.there
    return Change(lambda connection: there(connection, row.credential), otherwise)


def _proved(
    ledger: Ledger, site: Site, answer: dict[str, Any], kind: str, value: str, wrong: type[IdentityError]
) -> tuple[Passkey, Kept]:  # fmt: skip
    """The passkey that answered a challenge of a kind, under which `value` is kept, and what is kept of its account, as it was
    before that was looked at. Raises `wrong`, or WrongProof.

    Its counter never goes back, as that of a copy does.
    """
    from webauthn import base64url_to_bytes, verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    challenge = _challenge(answer)
    try:
        row = ledger.credentials.passkeys.find(base64url_to_bytes(str(answer.get("rawId", ""))))
        took = ledger.credentials.challenges.take(kind, challenge, ledger.clock())
        if took != value or row is None:
            raise wrong(WRONG)
        kept = ledger.credentials.of(row.account)
        if kept is None:
            raise wrong(WRONG)
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=row.public,
            credential_current_sign_count=0,  # it is compared below, where two at once are told apart
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise wrong(WRONG) from error
    if not ledger.credentials.passkeys.use(row.credential, verified.new_sign_count, ledger.clock()):
        ledger.credentials.passkeys.regressed(row.credential, ledger.clock())
        _LOG.warning("the counter of a passkey went back", extra={"account": row.account})
        raise wrong(
            "the passkey's counter went back: it may have been copied. Use password and code, and remove it"
        )
    return row, kept


def _challenge(answer: dict[str, Any]) -> bytes:
    """The challenge that an answer names: whether it was ours, and for this, is looked up."""
    from webauthn import base64url_to_bytes

    try:
        said = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))
        return base64url_to_bytes(said["challenge"])
    except (ValueError, KeyError, TypeError) as error:
        raise WrongProof(WRONG) from error
