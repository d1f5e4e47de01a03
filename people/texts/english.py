"""What people are told, in English: subject and body by kind."""

MOMENT = "%Y-%m-%d, %H:%M UTC"
FOOTER = """This message was written by the patient record service {log}. Please do not reply to it.
It never asks for a password, a code or a key."""

_STOP = "If this was not you, or if you do not expect it, tell the hospital that registered you, or the service, at once."
_SIGN_INS = (
    "If this was not you, reset your password with your key (`heartwood account password --reset`) and look at your "
    "sign-ins (`heartwood account sign-ins`), or tell the hospital that registered you, or the service, at once."
)

TEXTS: dict[str, tuple[str, str]] = {
    "admin_appointed": (
        "You are now an administrator of a hospital",
        "Since {at} your account {account} has been an administrator of the hospital {hospital}.\n\n" + _STOP,
    ),
    "alarm_raised": (
        "ALARM: the log has an entry that the rules do not give",
        "The key keeper found that entry {entry} of the log is not what the rules give. The alarm is entry {alarm}, of "
        "{at}.\n\nRun `heartwood status` and `heartwood audit`, and see the section on alarms in docs/operations.md.",
    ),
    "contact_changed": (
        "We write to another address from now on",
        "Another e-mail address was proved for your account {account}. From now on we write to that one, and no more to "
        "this.\n\n" + _STOP,
    ),
    "contact_proof": (
        "Your code",
        "Somebody gave this e-mail address for the account {account}. If it was you, confirm the address with this "
        "code:\n\n    {code}\n\nIt counts once, until {ending_at}: with `heartwood account contact --prove CODE`, or where "
        "you gave the address.\n\nIf it was not you, do nothing: without the code nothing is ever sent here again.",
    ),
    "contact_removed": (
        "We do not write to this address any more",
        "This e-mail address was removed from your account {account}. We do not write to it any more.\n\n" + _STOP,
    ),
    "contact_taken": (
        "Your address was given once more",
        "Somebody gave this e-mail address for another account than yours. It stays with your account, and nothing was "
        "changed.\n\nIf it was you: remove the address from the other account of yours first.",
    ),
    "doctor_approved": (
        "You were approved as a doctor",
        "Since {at} your account {account} has acted as a doctor for the hospital {hospital}.\n\n" + _STOP,
    ),
    "doctor_ended": (
        "Your work for a hospital has ended",
        "Since {at} your account {account} no longer acts as a doctor for the hospital {hospital}. Its administrators "
        "know why.",
    ),
    "doctor_suspended": (
        "You were suspended",
        "Since {at} your account {account} has been suspended as a doctor of the hospital {hospital}. Its administrators "
        "know why.",
    ),
    "factor_added": (
        "Your account can be signed in to in a new way",
        "At {at} a password or one-time codes were set up for your account {account}. All other sessions by password have "
        "ended.\n\n" + _SIGN_INS,
    ),
    "factor_removed": (
        "Your one-time codes were removed",
        "At {at} the one-time codes and recovery codes of your account {account} were removed. From now on its password "
        "alone lets in. All other sessions by password have ended.\n\n" + _SIGN_INS,
    ),
    "factors_reset": (
        "Your password or your one-time codes were reset",
        "At {at} the password of your account {account} was replaced, or its one-time codes were removed, by the key {key} "
        "alone: nobody showed the old ones. All sessions by password have ended.\n\nIf this was not you, somebody else has "
        "that key. Revoke it at once with another one, `heartwood key revoke {key}`, and reset your password with that. If "
        "you have no other key, tell the hospital that registered you, or the service.",
    ),
    "hospital_approved": (
        "A hospital was approved",
        "At {at} the hospital {hospital} was approved by the operator's key.\n\nIf this was not you, somebody else has that "
        "key: revoke it, and suspend the hospital.",
    ),
    "hospital_wrote": (
        "A hospital has written to your record for the first time",
        "At {at} the hospital {hospital} wrote to your record {patient} for the first time. You will get this message once "
        "for each hospital.\n\nYou can see in your history who wrote and who read. If you do not know this hospital, ask it "
        "or the service.",
    ),
    "key_recovered": (
        "A new key was asked for, for your account",
        "At {at} a new key, {key}, was put in for your account {account}, because yours was said to be lost. It counts from "
        "{counts_at}; until then it can do nothing.\n\nIf you did not ask for this, revoke it before then with one of your "
        "keys: `heartwood key revoke {key}`. If you have none any more, tell the hospital that registered you, or the "
        "service, at once.",
    ),
    "key_registered": (
        "A new key was added to your account",
        "At {at} the key {key} was added to your account {account}. Whoever has it can act as you.\n\n" + _STOP,
    ),
    "key_revoked": (
        "A key of your account was revoked",
        "At {at} the key {key} of your account {account} was revoked. It signs nothing any more, and all sessions by password "
        "have ended. If somebody else had the key, reset your password, too: they may have set it.\n\n" + _STOP,
    ),
    "password_changed": (
        "Your password was changed",
        "At {at} the password of your account {account} was changed, by somebody who showed the old one. All other sessions "
        "by password have ended.\n\n" + _SIGN_INS,
    ),
    "recovery_used": (
        "A recovery code of your account was used",
        "At {at} somebody used a recovery code of your account {account} in place of a one-time code. {left} of them are "
        "left.\n\n" + _SIGN_INS,
    ),
    "sign_ins_locked": (
        "Somebody keeps failing to sign in to your account",
        "At {at} so many tries to sign in to your account {account} had failed that it takes no further ones from places it "
        "does not know until {until_at}. Where you have signed in before, and with your key, you still can.\n\n" + _SIGN_INS,
    ),
}  # fmt: skip
