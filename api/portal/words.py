"""What pages say of the codes of the log: tables of texts, each translated where it is shown."""

from collections.abc import Mapping

from api.portal.texts import mark as _

NAVIGATION: Mapping[str, tuple[tuple[str, str], ...]] = {
    "": (),
    "person": (("/today", _("Today")), ("/relatives", _("Relatives")), ("/me", _("Me"))),
    "patient": (
        ("/today", _("Today")), ("/chart", _("Chart")), ("/access", _("Who may see")), ("/history", _("Who looked")),
        ("/family", _("Family")), ("/me", _("Me")),
    ),
    "relative": (("/today", _("Today")), ("/relatives", _("Relatives")), ("/me", _("Me"))),
    "doctor": (("/today", _("Today")), ("/requests", _("Requests")), ("/me", _("Me"))),
    "hospital_admin": (
        ("/today", _("Today")), ("/doctors", _("Doctors")), ("/patients", _("Patients")), ("/emergencies", _("Emergencies")), ("/requests", _("Requests")),
        ("/me", _("Me")),
    ),
    "operator": (("/today", _("Today")), ("/hospitals", _("Hospitals")), ("/me", _("Me"))),
    "auditor": (("/today", _("Today")), ("/me", _("Me"))),
    "hospital_system": (("/me", _("Me")),),
}  # fmt: skip
"""The pages of each role, by address; of nobody the empty role."""

ROLES: Mapping[str, str] = {
    "auditor": _("Auditor"), "doctor": _("Doctor"), "hospital_admin": _("Hospital admin"),
    "hospital_system": _("Hospital system"), "operator": _("Operator"), "patient": _("Patient"), "person": _("Myself"),
    "relative": _("Relative"), "service": _("The service"),
}  # fmt: skip

CATEGORIES: Mapping[str, str] = {
    "billing": _("Billing"), "condition": _("Conditions"), "demographics": _("About you"), "document": _("Documents"),
    "encounter": _("Visits"), "imaging": _("Images"), "immunization": _("Immunisations"), "laboratory": _("Laboratory"),
    "medication": _("Medication"), "procedure": _("Procedures"), "summary": _("Summaries"),
}  # fmt: skip

PROFESSIONS: Mapping[str, str] = {
    "laboratory": _("Laboratory staff"), "nurse": _("Nurse"), "pharmacist": _("Pharmacist"), "physician": _("Physician"),
    "trainee": _("Trainee"),
}  # fmt: skip

DECLINED: Mapping[str, str] = {
    "duplicate": _("There is one already"),
    "incomplete": _("What was sent in isn’t enough to decide"),
    "not_eligible": _("The conditions aren’t met"),
    "not_known": _("Nobody here knows this person"),
    "not_verified": _("Who applied could not be verified"),
    "other": _("Another reason, told elsewhere"),
}

STATES: Mapping[str, str] = {
    "pending": _("Waiting"), "approved": _("Approved"), "declined": _("Declined"), "suspended": _("Suspended"),
    "ended": _("Ended"), "live": _("Current"), "retracted": _("Retracted"), "shredded": _("Erased"),
}  # fmt: skip

ACTIONS: Mapping[str, str] = {
    "append": _("add records"), "grant": _("give others access"), "list": _("see the list"), "read": _("open records"),
    "read_history": _("see who looked"),
}  # fmt: skip

ANSWERS: Mapping[str, str] = {
    "open": _("waits"), "lapsed": _("lapsed"), "granted": _("given"), "declined": _("declined"),
    "disclosed": _("given out by the hospital"), "referred": _("referred by the hospital"),
}  # fmt: skip
"""How a request for access stands."""

CEILINGS: Mapping[str, str] = {
    "normal": _("what isn’t sensitive"), "restricted": _("everything but what you hid"), "off": _("nothing"),
}  # fmt: skip

ERASURES: Mapping[str, str] = {
    "requested": _("asked for"), "withdrawn": _("taken back"), "begun": _("under way"), "completed": _("erased"),
}  # fmt: skip
"""How an erasure stands."""

GUARDIAN_ACTS: Mapping[str, str] = {
    "appoint": _("Name them"), "confirm": _("Confirm them, as a second hospital"), "end": _("End it"),
}  # fmt: skip

HARMS: Mapping[str, str] = {
    "danger_to_life": _("Reading it would endanger their life"), "danger_to_others": _("It would endanger somebody else"),
    "therapeutic": _("It would gravely harm the treatment"),
}  # fmt: skip
"""Why a record is held back from somebody."""
LEGAL_HOLDS: Mapping[str, str] = {
    "claim": _("A claim was made, or is to be expected"), "court_order": _("A court ordered it"),
    "investigation": _("An authority investigates"), "other": _("Another legal reason, told elsewhere"),
}  # fmt: skip
"""Why records are kept from being erased."""

EMERGENCY_REASONS: Mapping[str, str] = {
    "cannot_consent": _("The patient can’t be asked now"), "life_at_risk": _("The patient’s life is at risk"),
    "serious_harm": _("The patient would come to serious harm"), "other": _("Another reason, in words below"),
}  # fmt: skip

FINDINGS: Mapping[str, str] = {
    "justified": _("It was an emergency, and what was read was needed"),
    "partly_justified": _("It was an emergency, and more was read than it called for"),
    "not_justified": _("It was no emergency, or what was read had nothing to do with it"),
}
"""What the review of an emergency found."""

REVIEWS: Mapping[str, str] = {
    "unreviewed": _("To be reviewed"), "overdue": _("Overdue"), "reviewed": _("Reviewed"),
}  # fmt: skip

POLICY: Mapping[str, str] = {
    "assurance": _("how surely one must be signed in"), "care_link": _("whether a consultation or referral lets doctors see"),
    "clock_skew_ms": _("how far clocks may differ"), "custodian_reads": _("whether a hospital reads what it wrote"),
    "emergency_hours": _("how long an emergency lasts"), "grant_days_max": _("how long access may be given"),
    "majority_years": _("when one is of age"), "private_labels": _("what is private to minors"),
    "professions": _("what nurses, pharmacists and others may"), "refusals_per_hour": _("how many refusals stand in the log"),
    "retention_years": _("how long hospitals have to keep records"),
}  # fmt: skip
"""The fields of a policy, as what they are about."""

PURPOSES: Mapping[str, str] = {
    "BTG": _("in an emergency"), "ETREAT": _("in an emergency"), "TREAT": _("for treatment"),
    "PATRQT": _("at the patient’s request"), "FAMRQT": _("at the family’s request"), "HPAYMT": _("for payment"),
    "HOPERAT": _("for hospital operations"), "PWATRNY": _("under a power of attorney"), "HRESCH": _("for research"),
    "PUBHLTH": _("for public health"), "HLEGAL": _("for a court"),
}  # fmt: skip

RULES: Mapping[str, str] = {
    "S0": _("Somebody or something named was unknown or not active."),
    "S1": _("Their role decides: this is what it may do at most."),
    "S2": _(
        "The state of the chart or the record decides: unclaimed, erased, retracted, held for a court, or of somebody who has died."
    ),
    "S3": _("A stronger sign-in was needed."),
    "S4": _("The hospital that wrote it holds it back for a while, because it would harm."),
    "S5": _("It is the patient’s own chart."),
    "S6": _("A hospital keeps, reads and corrects the records that it wrote itself."),
    "S7": _("The patient keeps this person, hospital or department out."),
    "S8": _("A doctor declared an emergency."),
    "S9": _("The patient granted it."),
    "S10": _("They acted for somebody, as far as that person’s rights reach."),
    "S11": _("A referral or an appointment ties the hospital to the patient."),
    "S12": _("No rule allowed it: without a grant, one may only ask for access."),
}
"""The rules of consent as sentences; docs/consent/rules.md has them all."""

REASONS: Mapping[str, str] = {
    "invalid": _("The account isn’t active in this role, or the patient is unknown."),
    "role": _("This role may not do that with a chart."),
    "gone": _("The record was erased."),
    "retracted": _("The record was retracted by those who wrote it."),
    "legal_hold": _("The record is kept for a court."),
    "unclaimed": _("The chart waits for the patient to claim it."),
    "minor": _("Nobody claims the chart of a patient who is not old enough to act in it."),
    "deceased": _("Nothing new can be granted in the name of the dead."),
    "harm_hold": _(
        "The hospital that wrote the record holds it back for a while, because it would harm."
    ),
    "retention": _("The law has the hospital that wrote it keep it for years."),
    "of_age": _("Nobody needs a guardian who is of age."),
    "step_up": _("This needs a stronger sign-in."),
    "excluded": _("The patient keeps this person, hospital or department out."),
    "emergency_ceiling": _("In an emergency doctors see only what the patient lets them."),
    "emergency_off": _("The patient has turned emergency access off."),
    "emergency_needed": _("No emergency has been declared."),
    "no_consent": _("The patient has given no consent that covers this."),
}
"""Why something is denied, as the refused asker is told."""

ACTS: Mapping[str, str] = {
    "access.answered": _("answered somebody who asked for access"),
    "access.closed": _("answered somebody who asked the hospital for records"),
    "access.forwarded": _("left it to the patient to answer who asks for access"),
    "access.granted": _("gave somebody access"),
    "access.requested": _("asked for access"),
    "access.revoked": _("took somebody’s access back"),
    "chart.exported": _("downloaded a copy of the chart"),
    "chart.opened": _("looked at the list of records"),
    "claim.offered": _("sent a code by which the patient can claim the chart"),
    "consultation.closed": _("closed a consultation"),
    "consultation.confirmed": _("agreed to a consultation"),
    "consultation.noted": _("added a note to a consultation"),
    "consultation.opened": _("opened a consultation"),
    "disclosure.suspended": _("told of what was given to others, after the law had it wait"),
    "emergency.configured": _("set what may be seen in an emergency"),
    "emergency.declared": _("declared an emergency"),
    "emergency.opened": _("looked at an emergency, to review it"),
    "emergency.reviewed": _("reviewed an emergency"),
    "erasure.begun": _("began to erase what the patient asked to have erased"),
    "erasure.completed": _("erased what the patient asked to have erased"),
    "erasure.requested": _("asked to have records erased"),
    "erasure.withdrawn": _("took back what they asked to have erased"),
    "guardian.appointed": _("named a guardian"),
    "guardian.confirmed": _("confirmed a guardian"),
    "guardian.ended": _("ended a guardianship"),
    "guardian.objected": _("objected to a guardian"),
    "history.opened": _("looked at who looked"),
    "hold.lifted": _("lifted a hold on records"),
    "hold.placed": _("held records back, or for a court"),
    "patient.claimed": _("claimed the chart"),
    "patient.corrected": _("corrected what is known of the patient"),
    "patient.linked": _("said that this chart and another one are one person’s"),
    "patient.registered": _("opened the chart"),
    "patient.unlinked": _("ended the link with another chart"),
    "reader.excluded": _("excluded somebody from the chart"),
    "reader.included": _("lifted an exclusion"),
    "record.amended": _("added a new version of a record"),
    "record.carried": _("carried a record into a new version"),
    "record.disclosed": _("gave a record to somebody outside"),
    "record.hidden": _("hid a record"),
    "record.opened": _("opened a record"),
    "record.retracted": _("retracted a record"),
    "referral.accepted": _("accepted records that another hospital referred"),
    "referral.declined": _("declined a referral"),
    "referral.sent": _("referred records to another hospital"),
    "referral.taken": _("took up what another hospital referred, sealed for their own key"),
    "relative.invited": _("invited a relative"),
    "relative.linked": _("accepted an invitation"),
    "relative.unlinked": _("ended a relative’s access"),
    "record.shown": _("showed a hidden record again"),
    "record.uploaded": _("added a record"),
}
"""What somebody did, after their name."""

READING_ACTS = frozenset(
    {
        "chart.exported",
        "chart.opened",
        "emergency.opened",
        "history.opened",
        "record.opened",
        "referral.taken",
    }
)

SIGN_INS: Mapping[str, str] = {
    "factor.added": _("A way to sign in was added or changed"),
    "factor.removed": _("A way to sign in was removed"),
    "recovery.revoked": _("A recovery was revoked by the password or a code"),
    "recovery.used": _("A recovery code was used"),
    "session.ended": _("A session ended"),
    "session.locked": _("Signing in was locked for a while after too many wrong tries"),
    "session.opened": _("Signed in"),
    "session.stepped_up": _("The second factor was shown once more"),
}

MEANS: Mapping[str, str] = {
    "passkey": _("passkey"), "password": _("password alone"), "password_code": _("password and code"),
    "password_recovery": _("password and recovery code"), "code": _("code"), "recovery": _("recovery code"),
}  # fmt: skip

FACTORS: Mapping[str, str] = {
    "code": _("one-time codes"), "passkey": _("passkey"), "password": _("password"),
}  # fmt: skip

PROBLEM_WORDS: Mapping[str, str] = {
    "already_used": _("This was done already; what was read is given once. Open it again."),
    "atomic": _("Nothing was done, because a part of it was refused."),
    "headers": _("What the browser sent is too long."),
    "invitation": _("The invitation’s code is wrong, was used, or counts no more."),
    "key": _("The signing key doesn’t count for this account."),
    "length": _("What was sent ended too early."),
    "range": _("This part of the content doesn’t exist."),
    "reading": _("This page can’t be used that way."),
    "registry": _("This log doesn’t have that yet: its operator has to upgrade it."),
    "role": _("You don’t act in the role that this needs. Choose another one under your role."),
    "signature": _("A signature doesn’t hold."),
    "stream": _("This belongs elsewhere."),
    "unknown": _("Something that this names doesn’t exist."),
    "blob": _("The content in the store is missing or damaged. Nothing wrong was shown to you."),
    "blob_store": _("The store of contents doesn’t answer. Try again in a few seconds."),
    "bug": _("Something went wrong on our side. Nothing you typed was lost if you go back."),
    "claim": _(
        "This was not accepted. Compare the patient number, the code and the birth date with the letter."
    ),
    "clock": _("The server’s clock can’t be trusted at the moment. Try again in a few seconds."),
    "conflict": _("Something has changed meanwhile, or is there already."),
    "cross_site": _("This request came from another site, so nothing was done."),
    "database": _("The database doesn’t answer. Try again in a few seconds."),
    "denied": _("The rules of consent don’t allow this."),
    "duplicate_id": _("This number is taken."),
    "forbidden": _("Your role may not do this."),
    "full": _("Very much is going on. Try again in a second."),
    "keeper": _("The key keeper did not release the key of this record."),
    "keeper_unavailable": _("The key keeper doesn’t answer. Try again in a few seconds."),
    "kept_key": _(
        "The service keeps no key for you yet. Let it keep one, or use your own key with the command line."
    ),
    "malformed": _("Something in the form isn’t as expected."),
    "method": _("This page can’t be used that way."),
    "no_key": _("This was prepared by somebody else, or not at all."),
    "not_found": _("There is nothing here, or it isn’t yours to see."),
    "not_signed_in": _("The account, password or code is wrong, or the code was used already."),
    "outcome_unknown": _("It isn’t certain whether this was done. Look before you try again."),
    "password": _(
        "This can’t be a password: use 8 to 128 characters that aren’t among the most used ones."
    ),
    "proof": _(
        "The password or code is wrong, or the code was used already. Wait for the next code."
    ),
    "quota": _("That is more than one account or address may do in an hour or a day."),
    "rolled_back": _("The server is being looked after. Nothing can be changed at the moment."),
    "second_factor": _("This needs a second factor. Set up one-time codes first."),
    "skew": _("The clocks disagree. Try again."),
    "slow": _("The form arrived too slowly."),
    "step_up": _("This needs a fresh code."),
    "stopped": _("The server is restarting. Try again in a few seconds."),
    "throttled": _("Too many tries. Wait a little before the next one."),
    "too_large": _("This is too large."),
    "too_many_claims": _("Too many codes were wrong. Wait before you try again."),
    "too_many_refusals": _("Too many refused readings of this patient within an hour."),
}
"""What is the matter, by the kind of problem (`api.http.problems`)."""

NOTICES: Mapping[str, str] = {
    "held": _("Done: it is held, as of now, and stands in the history."),
    "unheld": _("Lifted, as of now."),
    "amended": _("The new version is in the chart. The one before stays, and can still be opened."),
    "asked": _("You asked. The patient is told."),
    "ceiling": _("This counts from now on."),
    "declared": _("The emergency is declared. Everybody who has to know is told."),
    "erases": _("You asked for it. Until the hours are over you can take it back, below."),
    "guardian": _("Done. Whom it concerns is told."),
    "withdrawn": _("Taken back. What was there is there again."),
    "left": _("You act for them no more."),
    "linked": _("You act for them now, as far as they let you."),
    "refused": _("You said no. They see that, and nothing else."),
    "retracted": _("Retracted. It stays in the log, and counts no more."),
    "reviewed": _("The review is closed. The patient can read it."),
    "unlinked": _("Ended, as of now."),
    "applied": _("Your application was sent. You will see here when it is decided."),
    "approved": _("Approved. They can act from now on."),
    "claimed": _("The chart is yours now."),
    "declined": _("Declined. They see the reason."),
    "ended": _("The session has ended."),
    "excluded": _("Excluded. Whatever was granted doesn’t count until you lift it."),
    "granted": _("Access is given. It shows below, and you can take it back at any time."),
    "dismissed": _("Dismissed. Whoever asked isn’t told."),
    "inquired": _(
        "You asked, if there is such a person. If they let you in, you find them by the same number."
    ),
    "granted_for": _("Access is given on the patient’s behalf, who sees it and can take it back."),
    "hidden": _("Hidden. Nobody sees it but you and the hospital that wrote it."),
    "included": _("Lifted. What was granted counts again."),
    "kept": _("The service keeps a key for you now."),
    "mail": _("A code was sent to the address. Type it in below."),
    "mail_proved": _("The address is confirmed."),
    "mail_removed": _("The address was removed."),
    "number": _("Whoever may open your chart finds it by this number now."),
    "number_removed": _("No number finds your chart any more."),
    "passkey": _("The passkey counts from now on. All your other sessions have ended."),
    "passkey_removed": _("The passkey is removed. All your other sessions have ended."),
    "password": _("The password is changed. All your other sessions have ended."),
    "registered": _("Your account is ready."),
    "revoked": _("Access is taken back, as of now."),
    "role": _("You act in another role now."),
    "shown": _("Shown again to those who may see it."),
    "signed_out": _("You are signed out."),
    "stepped_up": _("Thank you. For five minutes this session is sure of you."),
    "uploaded": _("The record is in your chart, encrypted. Its entry stands in the log."),
}
"""What was just done, by the word that the address of the page brings."""
