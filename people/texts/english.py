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
    "access_answered": (
        "There is an answer to your request for access",
        "At {at} your request {request} for access to the record {patient} was answered. What the answer is, `heartwood request "
        "list` shows.",
    ),
    "access_requested": (
        "Somebody asks for access to your record",
        "At {at} the account {by} asked for access to your record {patient}: {request}. Why, and to what, you see with `heartwood "
        "request show {request}`.\n\nYou decide: `heartwood request answer {request}` grants what is asked for, or less, and with "
        "--no nothing. Until {until_at} it waits; without an answer nobody gets anything.",
    ),
    "access_to_answer": (
        "A doctor or relative asks your hospital for records",
        "At {at} the account {by} asked your hospital for records of {patient} that it wrote: {request}. It waits until "
        "{until_at}.\n\nAnswer with `heartwood request close {request}`, after a disclosure or a referral or with no, or leave it "
        "to the patient: `heartwood request forward {request}`.",
    ),
    "admin_appointed": (
        "You are now an administrator of a hospital",
        "Since {at} your account {account} has been an administrator of the hospital {hospital}.\n\n" + _STOP,
    ),
    "alarm_raised": (
        "ALARM: the log has an entry that the rules do not give",
        "The key keeper found that entry {entry} of the log is not what the rules give. The alarm is entry {alarm}, of "
        "{at}.\n\nRun `heartwood status` and `heartwood audit`, and see the section on alarms in docs/operations.md.",
    ),
    "chart_claimed": (
        "A record that your hospital registered was claimed",
        "At {at} the account {by} claimed the record {patient}, which your hospital registered, with the code of a "
        "letter.\n\nIf this was not the patient, place a hold on the record, and tell the service, at once.",
    ),
    "charts_joined": (
        "Two records are one person's",
        "Since {at} your record {patient} and another one count as one person's: the patients of both have signed. What you "
        "granted in either may count in both.\n\nIf this is wrong, end it at once: heartwood patient unlink.",
    ),
    "charts_linked": (
        "A hospital says that two records are yours",
        "At {at} the hospital {hospital} said that your record {patient} and another one are of the same person. From now on whom "
        "you exclude in one of them is kept out of both; nobody reads more than before.\n\nIf it is right, and you want what you "
        "granted to count in both, sign it: heartwood patient link. If it is wrong, end it: heartwood patient unlink.",
    ),
    "charts_unlinked": (
        "A hospital took back that two records are yours",
        "At {at} the hospital {hospital} took back that your record {patient} and another one are of the same person. Whom the other "
        "one excludes stays out of yours until you end the link, too: heartwood patient unlink.",
    ),
    "child_emergency": (
        "A doctor declared an emergency for a child's record",
        "At {at} the doctor {by} of the hospital {hospital} declared an emergency for the record {patient} of a child for whom you "
        "act as guardian. Until {until_at} this doctor can look at it without consent, as far as it allows in an emergency.\n\nEach "
        "look is in the history, `heartwood history --for {patient}`, and the hospital reviews it. If you know of no emergency, ask "
        "the hospital.",
    ),
    "child_emergency_reviewed": (
        "An emergency for a child's record was reviewed",
        "At {at} the hospital {hospital} reviewed an emergency that one of its doctors had declared for the record {patient} of a "
        "child for whom you act as guardian. What it found is in the history: `heartwood history --for {patient}`.\n\nIf you don't "
        "agree, ask the hospital.",
    ),
    "child_hospital_wrote": (
        "A hospital writes to a child's record",
        "At {at} the hospital {hospital} wrote to the record {patient} of a child for whom you act as guardian. You will get this "
        "message once for each hospital.\n\nWho wrote and who read is in the history: `heartwood history --for {patient}`. If you do "
        "not know this hospital, ask it or the service.",
    ),
    "child_consultation_opened": (
        "A hospital asks for a consultation with a child",
        "At {at} a doctor of the hospital {hospital} opened a consultation about the record {patient} of a child for whom you act "
        "as guardian. What it is about is in the history: `heartwood history --for {patient}`. Sign it only if you want it: "
        "`heartwood consultation confirm --for {patient}`. Until then it shows nobody anything.",
    ),
    "child_details_corrected": (
        "The details of a child were corrected",
        "At {at} the hospital {hospital} corrected what is known of the patient {patient}, a child for whom you act as guardian. "
        "Who did it is in the history: `heartwood history --for {patient}`. If you do not agree, ask the hospital.",
    ),
    "child_referral_accepted": (
        "A hospital accepted the referral of a child",
        "At {at} the hospital {hospital} accepted what another one had referred of the record {patient} of a child for whom you "
        "act as guardian. It can now open those records with its own key; once it has taken them up, no erasure reaches its "
        "copy. Who did what is in the history: `heartwood history --for {patient}`.",
    ),
    "child_referral_sent": (
        "A hospital referred a child to another one",
        "At {at} the hospital {hospital} referred records of the chart {patient}, of a child for whom you act as guardian, to "
        "another hospital. Who did what is in the history: `heartwood history --for {patient}`. That one sees nothing of them "
        "before it accepts; if you don't want it to, exclude it now: `heartwood exclude --for {patient}`.",
    ),
    "child_records_disclosed": (
        "A hospital gave records of a child to others",
        "The hospital {hospital} recorded, at {at}, that it gave records out of the record {patient}, of a child for whom you act as "
        "guardian, to somebody outside. When, and by which hospital, is in the history: `heartwood history --for {patient}`.\n\nTo "
        "whom, which and what for the hospital tells you: ask it, also if you don't agree.",
    ),
    "claim_offered": (
        "A claim code was offered for a record that your hospital registered",
        "At {at} the account {by} offered a claim code for the record {patient}, which your hospital registered. Whoever "
        "has the letter with the code can claim the record; codes before it count no more.\n\nIf you do not expect this, "
        "offer another code, and ask who did it.",
    ),
    "codes_added": (
        "One-time codes were set up for your account",
        "Since {at} your account {account} asks for a one-time code at each sign-in.\n\n" + _STOP,
    ),
    "codes_removed": (
        "One-time codes were removed from your account",
        "Since {at} your account {account} asks for no one-time code any more: the password alone lets in.\n\n" + _STOP,
    ),
    "consultation_opened": (
        "A hospital asks for a consultation with you",
        "At {at} a doctor of the hospital {hospital} opened a consultation about your record {patient}. `heartwood consultation list` "
        "shows what it is about. Sign it only if you want it: `heartwood consultation confirm`. Until then it shows nobody anything.",
    ),
    "referral_accepted": (
        "A hospital accepted your referral",
        "At {at} the hospital {hospital} accepted what another one had referred of your record {patient}. It can now open those "
        "records with its own key; once it has taken them up, no erasure reaches its copy. `heartwood referral list` shows which "
        "they are, and `heartwood exclude` shuts it out of what it hasn't taken up.",
    ),
    "referral_sent": (
        "A hospital referred you to another one",
        "At {at} the hospital {hospital} referred records of yours, of the chart {patient}, to another hospital. `heartwood "
        "referral list` shows which and to whom. That one sees nothing of them before it accepts; if you don't want it to, "
        "exclude it now: `heartwood exclude`.",
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
    "delegation_given": (
        "A colleague lets you act for them",
        "Since {at} you may act for the doctor {by} at {hospital}, as far as patients granted it to them. Say so each time, with "
        "--on-behalf-of.\n\nIf you do not expect this, ask them to end it.",
    ),
    "details_corrected": (
        "A hospital corrected your details",
        "At {at} the hospital {hospital} corrected what your record {patient} says of you: name, dates of age, or whether you live."
        "\n\nIf something in it is wrong, ask the hospital. What you allowed you can take back in any case.",
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
    "doctor_invited": (
        "A hospital invites you as a doctor",
        "The hospital {hospital} invites you to act as one of its doctors. If you expect this, register, or use the account "
        "that you have, and give this code:\n\n    {code}\n\nIt belongs to the invitation {invitation} and counts once, until "
        "{ending_at}: `heartwood account join {hospital} --invitation {invitation} --code CODE --as KEYFILE`.\n\nWhoever has the "
        "code can take your place: do not forward this message, and delete it afterwards. If you do not expect it, do nothing.",
    ),
    "doctor_joined": (
        "You are a doctor of a hospital now",
        "At {at} your account {account} took up the invitation of the hospital {hospital}, and has acted as a doctor for it "
        "since.\n\n" + _STOP,
    ),
    "doctor_suspended": (
        "You were suspended",
        "Since {at} your account {account} has been suspended as a doctor of the hospital {hospital}. Its administrators "
        "know why.",
    ),
    "emergency_declared": (
        "A doctor declared an emergency for your record",
        "At {at} the doctor {by} of the hospital {hospital} declared an emergency for your record {patient}. Until {until_at} this "
        "doctor can look at your record without your consent, as far as you allow it in an emergency.\n\nEach look is "
        "in your history, `heartwood history`, and the hospital reviews it. How far doctors see in an emergency, you can "
        "change at any time: `heartwood emergency configure`. To keep this doctor out: `heartwood exclude {by}`.",
    ),
    "emergency_reviewed": (
        "An emergency was reviewed",
        "At {at} the hospital {hospital} reviewed an emergency that one of its doctors had declared for your record "
        "{patient}. What it found is in your history: `heartwood history`.\n\nIf you don't agree, ask the hospital.",
    ),
    "emergency_to_review": (
        "A doctor of your hospital declared an emergency: review it",
        "At {at} the doctor {by} of your hospital declared an emergency for the record {patient}. It is to be reviewed by "
        "{due_at}, by an administrator who did not declare it: `heartwood emergency list`, then `heartwood emergency review "
        "{emergency}`.",
    ),
    "erasure_completed": (
        "What you asked to be erased is erased",
        "At {at} the erasure {erasure}, which your account {account} had asked for, was completed: the keys are destroyed, and "
        "nobody can read what was erased any more. Your history still shows who did what.",
    ),
    "erasure_requested": (
        "Somebody asked to erase records of yours",
        "At {at} your account {account} asked to erase a record, or all of your records: {erasure}. Nobody can read them since. "
        "At {due_at} their keys will be destroyed, and nothing brings them back then.\n\nIf you did not ask for this, or "
        "changed your mind, withdraw it before then: `heartwood erase --withdraw {erasure}`. If you cannot, tell the "
        "hospital that registered you, or the service, at once.",
    ),
    "erasure_withdrawn": (
        "An erasure was withdrawn",
        "At {at} your account {account} withdrew the erasure {erasure}: all is as it was before.\n\n" + _STOP,
    ),
    "factors_reset": (
        "Your password or your one-time codes were reset",
        "At {at} the password of your account {account} was replaced, or its one-time codes were removed, by the key {key} "
        "alone: nobody showed the old ones. All sessions by password have ended.\n\nIf this was not you, somebody else has "
        "that key. Revoke it at once with another one, `heartwood key revoke {key}`, and reset your password with that. If "
        "you have no other key, tell the hospital that registered you, or the service.",
    ),
    "guardian_appointed": (
        "Somebody was named a guardian",
        "At {at} the account {guardian} was named a guardian for the record {patient}. It counts from {counts_at}, or once a "
        "second hospital confirms it.\n\nIf this is wrong, object before then, and tell the hospital that registered the record.",
    ),
    "guardian_objected": (
        "Somebody objects to a guardian",
        "At {at} somebody who may objected to the account {guardian} as a guardian for the record {patient}. It counts only once "
        "a second hospital confirms it.",
    ),
    "hospital_approved": (
        "A hospital was approved",
        "At {at} the hospital {hospital} was approved by the operator's key.\n\nIf this was not you, somebody else has that "
        "key: revoke it, and suspend the hospital.",
    ),
    "hospital_wrote": (
        "A hospital writes to your record",
        "At {at} the hospital {hospital} wrote to your record {patient}. You will get this message once for each "
        "hospital.\n\nYou can see in your history who wrote and who read. If you do not know this hospital, ask it "
        "or the service.",
    ),
    "invitation_taken_up": (
        "A doctor took up your hospital's invitation",
        "At {at} the account {by} took up the invitation {invitation}, and is a doctor of your hospital {hospital} from now "
        "on.\n\nIf that is not whom you invited, end it at once: `heartwood account end {by}`.",
    ),
    "key_recovered": (
        "A new key was asked for, for your account",
        "At {at} a new key, {key}, was put in for your account {account}, because yours was said to be lost. It counts from "
        "{counts_at}; until then it can do nothing.\n\nIf you did not ask for this, revoke it before then with one of your "
        "keys: `heartwood key revoke {key}`. If you have none any more, your password or a code does it, once: `heartwood account "
        "revoke-recovery {account}`. And tell the hospital that registered you, or the service, at once.",
    ),
    "key_registered": (
        "A new key was added to your account",
        "At {at} the key {key} was added to your account {account}. Whoever has it can act as you.\n\n" + _STOP,
    ),
    "kept_key_revoked": (
        "The key that the service kept for you was revoked",
        "At {at} the key {key} that the service kept for your account {account} was revoked and destroyed. It no longer signs "
        "anything.\n\n" + _STOP,
    ),
    "key_revoked": (
        "A key of your account was revoked",
        "At {at} the key {key} of your account {account} was revoked. It no longer signs anything, and all sessions by password "
        "have ended. If somebody else had the key, reset your password, too: they may have set it.\n\n" + _STOP,
    ),
    "passkey_added": (
        "A passkey was added to your account",
        "Since {at} one can sign in to your account {account} by another passkey. All other sessions by password were "
        "ended.\n\n" + _STOP,
    ),
    "passkey_removed": (
        "A passkey of your account was removed",
        "At {at} a passkey of your account {account} was removed: it lets nobody in any more. All other sessions by password "
        "were ended.\n\n" + _STOP,
    ),
    "new_place": (
        "Somebody signed in from a new place",
        "At {at} somebody signed in to your account {account} from a network from which nobody has for three months, or ever. If it "
        "was you, there is nothing to do.\n\n" + _SIGN_INS,
    ),
    "password_changed": (
        "Your password was changed",
        "At {at} another password was set for your account {account}. All other sessions were ended.\n\n" + _STOP,
    ),
    "password_no_reset": (
        "Your password is not replaced by mail",
        "Somebody said that the password of your account {account} was forgotten. The account has no second factor, and a "
        "mail alone replaces no password: nothing was changed.\n\nIf it was you, sign in with your key and set another one, or "
        "let the hospital that registered you, or the service, identify you. If it was not you, do nothing.",
    ),
    "password_reset": (
        "Replace your password",
        "Somebody said that the password of your account {account} was forgotten. If it was you, set another one with this "
        "link:\n\n    {code}\n\nIt counts once, until {ending_at}: with `heartwood account reset --link LINK`, or where you "
        "asked for it. Your second factor is asked for, too.\n\nIf it was not you, do nothing: without the second factor "
        "nobody gets in, and your password stays as it is.",
    ),
    "password_set": (
        "A password was set for your account",
        "Since {at} one can sign in to your account {account} by password.\n\n" + _STOP,
    ),
    "records_disclosed": (
        "A hospital gave records of yours to others",
        "The hospital {hospital} recorded, at {at}, that it gave records out of your record {patient} to somebody outside. To "
        "whom, which, and what for is in your accounting: `heartwood disclosures`.\n\nIf you don't agree, ask the hospital.",
    ),
    "recovery_revoked": (
        "A recovery of your account was revoked",
        "At {at} the new key that waited for your account {account} was revoked by your password or a code. It will never "
        "count.\n\nIf this was not you, somebody has your password or your codes: let the hospital that registered you, or "
        "the service, identify you again. The recovery that they open then can't be stopped so.",
    ),
    "recovery_used": (
        "A recovery code of yours was used",
        "At {at} a recovery code was used for your account {account} in place of a one-time code. {left} recovery codes are "
        "left.\n\n" + _STOP,
    ),
    "relation_ended": (
        "You no longer act for somebody",
        "Since {at} the account {account} no longer acts for the record {patient}.",
    ),
    "relative_linked": (
        "Somebody acts for you now",
        "At {at} the account {by} was linked to your record {patient} with the code of your invitation, and acts for you as far as "
        "you said.\n\nIf this is not whom you invited, end it at once: heartwood relative unlink {by}.",
    ),
    "session_locked": (
        "Your account was locked for a while",
        "At {at} too many sign-ins to your account {account} had failed. Until {until_at} nobody signs in by password from "
        "where you have not signed in before. Your keys and your open sessions go on working.\n\nIf this was not you, "
        "somebody may be guessing your password: change it if others could know it.",
    ),
}  # fmt: skip
