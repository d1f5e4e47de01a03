"""Mutants of `decide`, of the folds and of the gate: mistakes that somebody could make.

Each says how it is made and which of the properties (`properties.py`) must see it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from consent import decide as engine
from consent.decide import Decision, Facts, Request
from ledger import scopes
from ledger.entry import Entry
from ledger.facts import Exclusion, Grant, Provision, Record
from ledger.policies import DEFAULT_POLICY, Policy
from ledger.rows import Look, Row
from tests.support.consent.mutations import (
    Mutation,
    Patch,
    Stage,
    asked,
    before,
    chosen,
    constant,
    fold,
    forgotten,
    gathering,
    part,
    permitting,
    skipped,
    stage,
    together,
)


@dataclass(frozen=True)
class Fault:
    """A mistake, how it is made here, and the properties that must see it."""

    name: str
    mutate: Mutation
    seen_by: str


# --- S0 to S6


def admins_read(patch: Patch) -> None:
    more = engine.ROLE_ACTIONS["hospital_admin"] | {"list", "read"}
    patch.setitem(engine.ROLE_ACTIONS, "hospital_admin", more)


def auditors_do_all(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return Decision("permit", "S1") if request.role == "auditor" else true(request, facts, policy)


def known_roles_only(
    true: Stage, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    return true(request, facts, policy) if engine.ROLE_ACTIONS[request.role] else None


def of_every_hospital(request: Request) -> Request:
    record = request.record._replace(hospital=request.hospital) if request.record else None
    return request._replace(record=record)


def of_no_hospital(request: Request) -> Request:
    record = request.record._replace(hospital="") if request.record else None
    return request._replace(record=record)


def switch_ignored(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    return true(request, facts, Policy.of(DEFAULT_POLICY, 0))


def hidden_not_exported(
    true: Stage, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    if request.action == "export" and request.record is not None and request.record.hidden:
        return None
    return true(request, facts, policy)


def claimed_already(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    patient = facts.patient and facts.patient._replace(offered=0)
    return true(request, facts._replace(patient=patient), policy)


def as_registering(request: Request) -> Request:
    return request._replace(step="") if request.step == engine.OFFER else request


def always_offered(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    patient = facts.patient and facts.patient._replace(offered=facts.patient.offered or 1)
    return true(request, facts._replace(patient=patient), policy)


def chart_not_erased(
    true: Stage, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    patient = facts.patient and facts.patient._replace(erased=0)
    return true(request, facts._replace(patient=patient), policy)


def never_too_late(true: Any, request: Request, patient: Any) -> Any:
    return 0 if request.step == engine.WITHDRAW else true(request, patient)


def harm_permits(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    found = true(request, facts, policy)
    return found and Decision("permit", "S4", found.basis)


def harm_unseen(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    found = true(request, facts, policy)
    return found and found._replace(masked=False)


def told_to_all(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    holds = [h.seq for h in facts.holds if engine._keeps_from(h, request, facts.patient)]
    return Decision("deny", "S4", (min(holds),), "harm_hold", masked=True) if holds else None


def served_relatives(
    true: Stage, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    return true(request._replace(role="doctor"), facts, policy)


def outlived(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    gave = (one._replace(active=True, start=0, end=1 << 60) for one in facts.gave)
    return true(request, facts._replace(gave=tuple(gave)), policy)


FIRST: Final = [
    Fault("S0 lets everybody pass", skipped("_sanity"), "P8 P20"),
    Fault("S0 takes every role as held", asked("_sanity", lambda r: r._replace(held=True)), "P20"),
    Fault("S0 takes every purpose", asked("_sanity", lambda r: r._replace(purpose="TREAT")), "P20"),
    Fault("S1 lets admins read", admins_read, "P15 P20"),
    Fault("S1 lets auditors do all", stage("_role", auditors_do_all), "P15 P20"),
    Fault("S1 fails on unknown roles", stage("_role", known_roles_only), "P1"),
    Fault("S2 is left out", skipped("_state"), "P20"),
    Fault("S2 lets act who has not claimed", stage("_state", claimed_already), "P20"),
    Fault("S2 lets children's charts be claimed a millisecond early",
          asked("_state", lambda r: r._replace(now=r.now + 1)), "P17"),
    Fault("S2 tells everybody who is a child", constant("_hands_over", lambda *_: True), "P20"),
    Fault("S2 erases what a court wants kept", part("_holds_any", lambda true, *given: False), "P20"),
    Fault("S2 erases what is to be kept for years", part("kept_until", lambda true, *given: 0), "P20"),
    Fault("S2 opens a chart that is erased", stage("_state", chart_not_erased), "P20"),
    Fault("S2 lets withdraw what is due", part("_gone", never_too_late), "P20"),
    Fault("S3 is left out", skipped("_assurance"), "P20"),
    Fault("S2 keeps from revoking for the dead", asked("_state", lambda r: r._replace(step="" if r.step == "narrow" else r.step)), "P20"),
    Fault("S4 is left out", skipped("_harm"), "P20"),
    Fault("S4 permits", stage("_harm", harm_permits), "P20"),
    Fault("S4 holds a millisecond more", asked("_harm", lambda r: r._replace(now=r.now - 1)), "P20"),
    Fault("S4 shows nothing", stage("_harm", harm_unseen), "P20"),
    Fault("S5 counts ages a millisecond late",
          asked("_self", lambda r: r._replace(now=r.now - 1)), "P17 P20"),
    Fault("S5 lets minors erase", constant("MINOR_EXCEPT", frozenset()), "P17 P20"),
    Fault("S5 retracts what a doctor wrote", asked("_self", of_no_hospital), "P20"),
    Fault("S5 does not export what was hidden", stage("_self", hidden_not_exported), "P12 P20"),
    Fault("S6 takes every hospital as author", asked("_custodian", of_every_hospital), "P20"),
    Fault("S6 lets anybody offer a code", asked("_custodian", as_registering), "P20"),
    Fault("S6 lets claim without an offer", stage("_custodian", always_offered), "P20"),
    Fault("a claim moves nobody", forgotten("patient.claimed"), "P20"),
    Fault("S6 ignores the switch", stage("_custodian", switch_ignored), "P20"),
    Fault("S6 permits delegates",
          asked("_custodian", lambda r: r._replace(on_behalf_of="")), "P20"),
]  # fmt: skip

# --- S7 and S8


def newest_only(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    newest = sorted(facts.exclusions, key=lambda one: one.seq)[-1:]
    return true(request, facts._replace(exclusions=tuple(newest)), policy)


def for_earlier_grants_only(
    true: Stage, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    found = true(request, facts, policy)
    given = [grant.seq for grant in facts.grants if grant.active]
    return None if found and any(seq > found.basis[0] for seq in given) else found


def groups_at_work(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    groups = tuple(group for group in facts.groups if group.hospital == request.hospital)
    return true(request, facts._replace(groups=groups), policy)


def first_excluding(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    alone = (true(request, facts._replace(exclusions=(one,)), policy) for one in facts.exclusions)
    return next(filter(None, alone), None)


def persons_spared(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    emergency = request.action == "declare_emergency"
    return None if emergency else true(request, facts, policy)


def lifted_too(true: Any, exclusion: Exclusion, *given: Any) -> Any:
    return true(exclusion._replace(active=True), *given)


def any_patient_excludes(true: Any, exclusion: Exclusion, charts: Any, *given: Any) -> Any:
    return true(exclusion._replace(patient=charts[0]), charts, *given)


def emergencies_for_all(
    true: Stage, request: Request, facts: Facts, policy: Policy
) -> Decision | None:
    found = true(request, facts, policy)
    return Decision("permit", "S8") if found else None


def anything_goes(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """Whatever is asked about a record is taken as reading it."""
    as_read = request if request.action == "declare_emergency" else request._replace(action="read")
    return true(as_read, facts, policy)


def reviewed_anywhere(true: Any, request: Request, facts: Facts) -> Any:
    found = facts.reviewed and facts.reviewed._replace(hospital=request.hospital)
    return true(request, facts._replace(reviewed=found))


def disclosed_anywhere(true: Any, request: Request, facts: Facts) -> Any:
    return true(request, facts._replace(keeps=True))


EXCLUSIONS: Final = [
    Fault("S7 is left out", skipped("_exclusion"), "P18 P20"),
    Fault("S7 stands before S5", before("_exclusion", "_self"), "P19 P20"),
    Fault("S7 looks at the newest alone", stage("_exclusion", newest_only), "P3 P20"),
    Fault("S7 names the first listed", stage("_exclusion", first_excluding), "P7 P20"),
    Fault("S7 stands against earlier grants only",
          stage("_exclusion", for_earlier_grants_only), "P18 P20"),
    Fault("S7 counts groups where one works", stage("_exclusion", groups_at_work), "P20"),
    Fault("S7 spares persons in an emergency", stage("_exclusion", persons_spared), "P20"),
    Fault("S7 of a hospital beats the emergency",
          constant("EMERGENCY_PURPOSES", frozenset()), "P20"),
    Fault("S7 counts what was lifted", part("_excludes", lifted_too), "P18 P20"),
    Fault("S7 takes any patient's", part("_excludes", any_patient_excludes), "P8"),
    Fault("the excluded are told", part("told", lambda true, decision, *given: decision), "P20"),
    Fault("exclusions are forgotten", forgotten("reader.excluded"), "P18 P20"),
    Fault("inclusions are forgotten", forgotten("reader.included"), "P18 P20"),
    Fault("S8 is left out", skipped("_emergency"), "P20"),
    Fault("S8 permits without an emergency", stage("_emergency", emergencies_for_all), "P2 P20"),
    Fault("S8 forgets the ceiling", forgotten("emergency.configured"), "P20"),
    Fault("S8 takes every ceiling as the highest",
          part("_below", lambda true, ceiling, record: true("restricted", record)), "P10 P20"),
    Fault("S8 shows what was hidden",
          part("_below", lambda true, ceiling, record: true(ceiling, record._replace(hidden=0))),
          "P10 P20"),
    Fault("S8 takes sensitive for normal",
          part("_below", lambda true, ceiling, record: true(
              ceiling, record._replace(sensitive=False, labels=()))), "P10 P20"),
    Fault("S8 lets emergencies last for ever",
          part("is_open", lambda true, one, request, policy: true(
              one._replace(end=1 << 60, start=request.now), request, policy)), "P10 P20"),
    Fault("S8 is open a millisecond too long",
          part("is_open", lambda true, one, request, policy: true(
              one._replace(end=one.end + 1), request, policy)), "P10 P20"),
    Fault("S8 takes anybody's emergency",
          part("is_open", lambda true, one, request, policy: true(
              one._replace(patient=request.patient), request, policy)), "P8"),
    Fault("S8 lets more be done than listed and read", stage("_emergency", anything_goes), "P10 P20"),
    Fault("S8 stands before S7", before("_emergency", "_exclusion"), "P10 P20"),
    Fault("S6 lets any hospital review", part("_own_acts", reviewed_anywhere), "P20"),
    Fault("S6 lets disclose without a record", part("_own_acts", disclosed_anywhere), "P20"),
    Fault("S8 tells nobody", constant("EMERGENCY_OBLIGATIONS", ("record",)), "P20"),
]  # fmt: skip

# --- S9 and S12


def all_must_permit(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    some_do_not = len(permitting(true, request, facts, policy)) < len(facts.grants)
    return None if some_do_not else true(request, facts, policy)


def labels_of_all(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """Every grant covers the labels that any of them names."""
    labels = tuple({label for grant in facts.grants for label in grant.labels})
    grants = tuple(grant._replace(labels=labels) for grant in facts.grants)
    return true(request, facts._replace(grants=grants), policy)


def lowest_of_all(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """The basis is the lowest grant, whether it permits or not."""
    found = true(request, facts, policy)
    return found and found._replace(basis=(min(grant.seq for grant in facts.grants),))


def groups_anywhere(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    groups = tuple(group._replace(hospital=request.hospital) for group in facts.groups)
    return true(request, facts._replace(groups=groups), policy)


def doctors_list(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    if request.role == "doctor" and request.action == "list":
        return Decision("permit", "S12")
    return true(request, facts, policy)


def cached(patch: Patch) -> None:
    """A positive answer is remembered, whatever the time and the facts."""
    answers: dict[tuple[str, str], Decision] = {}

    def grant(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
        found = answers.get((request.actor, request.action)) or true(request, facts, policy)
        if found:
            answers[request.actor, request.action] = found
        return found

    stage("_grant", grant)(patch)


def every_seventh(patch: Patch) -> None:
    """An answer that depends on how often was asked."""
    asked = count()

    def default(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
        if next(asked) % 7 == 0:
            return Decision("permit", "S12")
        return true(request, facts, policy)

    stage("_default", default)(patch)


def granting(**members: Callable[[Grant, Request], Any]) -> Callable[..., Any]:
    """The grant is taken as if it had other members."""

    def mistake(true: Any, grant: Grant, request: Request) -> Any:
        changed = {name: make(grant, request) for name, make in members.items()}
        return true(grant._replace(**changed), request)

    return mistake


def shown_anyway(true: Any, grant: Grant, request: Request) -> Any:
    record = request.record._replace(hidden=0) if request.record else None
    return true(grant, request._replace(record=record))


def restricted_is_normal(true: Any, grant: Grant, request: Request) -> Any:
    record = request.record._replace(confidentiality="normal") if request.record else None
    return true(grant, request._replace(record=record))


def one_label_is_enough(true: Any, grant: Grant, request: Request) -> Any:
    record = request.record
    if record is not None and set(record.labels) & set(grant.labels):
        request = request._replace(record=record._replace(labels=(), sensitive=False))
    return true(grant, request)


def labels_are_listed(true: Any, grant: Grant, request: Request) -> Any:
    """Titles of sensitive records do no harm, somebody thought."""
    return true(grant._replace(sensitive=grant.sensitive or request.action == "list"), request)


SCOPES: Final = [
    Fault("S9 permits delegates", asked("_grant", lambda r: r._replace(on_behalf_of="")), "P20"),
    Fault("S9 takes the first listed", chosen(lambda found: found[0]), "P7 P20"),
    Fault("S9 takes the lowest id", chosen(lambda found: min(found, key=lambda g: g.grant)),
          "P16 P20"),
    Fault("S9 takes limited before unlimited",
          chosen(lambda found: min(found, key=lambda g: (not g.uses, g.seq))), "P20"),
    Fault("S9 names the lowest grant of all", stage("_grant", lowest_of_all), "P14 P20"),
    Fault("S9 lets lineages limit each other", stage("_grant", all_must_permit), "P4 P20"),
    Fault("S9 puts the labels of grants together", stage("_grant", labels_of_all), "P14 P20"),
    Fault("S9 caches what it permitted", cached, "P6 P20"),
    Fault("S9 takes a group's grant anywhere", stage("_grant", groups_anywhere), "P20"),
    Fault("S9 includes the end", part("_applies", granting(end=lambda g, r: g.end + 1)), "P6 P20"),
    Fault("S9 excludes the start",
          part("_applies", granting(start=lambda g, r: g.start + 1)), "P6 P20"),
    Fault("S9 permits a use too many",
          part("_applies", granting(used=lambda g, r: g.used - 1)), "P6 P20"),
    Fault("S9 takes any patient's grant",
          together(part("_applies", granting(patient=lambda g, r: r.patient)), part("_rests_on", lambda *given: ())), "P8"),
    Fault("S9 ignores exceptions", part("_applies", granting(exceptions=lambda g, r: ())), "P20"),
    Fault("S9 is content with one label", part("_covers", one_label_is_enough), "P11 P20"),
    Fault("S9 ignores labels", part("_covers", granting(sensitive=lambda g, r: True)), "P20"),
    Fault("S9 lists what it doesn't open", part("_covers", labels_are_listed), "P12 P20"),
    Fault("S9 shows what was hidden", part("_covers", shown_anyway), "P20"),
    Fault("S9 takes restricted for normal", part("_covers", restricted_is_normal), "P20"),
    Fault("S9 takes every record as listed",
          part("_covers", granting(scope=lambda g, r: "full")), "P20"),
    Fault("S11 is left out", skipped("_care_link"), "P20"),
    Fault("S11 counts whatever the policy says", constant("BASIC", "off"), "P20"),
    Fault("S11 counts what was declined", forgotten("referral.declined"), "P20"),
    Fault("S11 and S6 know of no acceptance", forgotten("referral.accepted"), "P20"),
    Fault("S6 lets the excluded take up", part("_referred", lambda true, r, facts: true(r, facts._replace(exclusions=()))), "P20"),
    Fault("S6 lets take up what nobody accepted", part("_referred", lambda true, r, facts: true(r._replace(step="answer"), facts)), "P20"),
    Fault("S11 stands before S7", before("_care_link", "_exclusion"), "P20"),
    Fault("S12 lets doctors list", stage("_default", doctors_list), "P2 P12 P20"),
    Fault("S12 counts questions", every_seventh, "P1 P13 P20"),
]  # fmt: skip

# --- criteria and exceptions


def ones_own(
    true: Any, provisions: tuple[Provision, ...], record: Record | None, base: bool
) -> Any:
    return true(tuple(one._replace(exceptions=()) for one in provisions), record, base)


def first_sibling(
    true: Any, provisions: tuple[Provision, ...], record: Record | None, base: bool
) -> Any:
    met = [one for one in provisions if record is not None and scopes.meets(one, record)]
    return true(tuple(met[:1]), record, base)


def a_permission_wins(
    true: Any, provisions: tuple[Provision, ...], record: Record | None, base: bool
) -> Any:
    alone = [true((one,), record, None) for one in provisions]
    met = [verdict for verdict in alone if verdict is not None]
    return any(met) if met else base


def one_criterion_is_enough(true: Any, what: Provision, record: Record) -> Any:
    empty = Provision(what.permits)
    given = [name for name in what._fields[1:-1] if getattr(what, name)]
    return any(true(empty._replace(**{name: getattr(what, name)}), record) for name in given)


def without_the_labels(true: Any, what: Provision, record: Record) -> Any:
    """A denial by label is taken as one of all that doesn't carry it."""
    if not what.labels:
        return true(what, record)
    carried = set(what.labels) & set(record.labels)
    return not carried and true(what._replace(labels=()), record)


def hospitals_only(true: Any, what: Provision, record: Record) -> Any:
    return true(what, record._replace(author=""))


def the_last_day_is_out(true: Any, what: Provision, date: str) -> Any:
    return true(what, date) and not (date and date == what.date_to)


def undated_meets(true: Any, what: Provision, date: str) -> Any:
    return true(what, date) if date else True


CRITERIA: Final = [
    Fault("inner exceptions are ignored", part("_verdict", ones_own), "P20"),
    Fault("the first sibling decides", part("_verdict", first_sibling), "P7 P20"),
    Fault("among siblings a permission wins", part("_verdict", a_permission_wins), "P20"),
    Fault("one criterion is enough", part("meets", one_criterion_is_enough, scopes, engine), "P20"),
    Fault(
        "labels deny what has none", part("meets", without_the_labels, scopes, engine), "P11 P20"
    ),
    Fault("authors are hospitals only", part("meets", hospitals_only, scopes, engine), "P20"),
    Fault("ranges leave out their last day", part("dated", the_last_day_is_out, scopes), "P20"),
    Fault("undated records meet every range", part("dated", undated_meets, scopes), "P20"),
]

# --- charts, folds and the gate


def all_or_nothing(true: Any, *given: Any) -> Any:
    """Who sees one record is shown all."""
    decision, shown = true(*given)
    return decision, tuple(given[-1]) if shown else ()


def as_without_a_record(true: Any, *given: Any) -> Any:
    return engine.decide(*given[:3]), true(*given)[1]


def first_record_decides(true: Any, *given: Any) -> Any:
    """The lowest record that is shown, whatever the stage."""
    decision, shown = true(*given)
    request, facts, policy, _ = given
    if shown and decision.rule != "S5":
        decision = engine.decide(request._replace(record=shown[0]), facts, policy)
    return decision, shown


def as_of_now(patch: Patch) -> None:
    """Facts are gathered from the newest rows that were seen, not from those of the entry before."""
    newest: list[tuple[int, Look]] = []

    def gather(true: Any, request: Request, look: Look) -> Any:
        if not newest or request.as_of >= newest[-1][0]:
            newest.append((request.as_of, look))
        return true(request, newest[-1][1])

    gathering(gather)(patch)


def toggled(true: Any, entry: Entry, look: Look) -> list[Row]:
    patient, grantee = entry.event.subject, entry.event.body["grantee"]
    rows: Any = look
    grants = [g for g in rows.all(Grant).values() if (g.patient, g.grantee) == (patient, grantee)]
    return [g._replace(active=not g.active, seq=entry.link.seq) for g in grants]


def only_if_named(true: Any, entry: Entry, look: Look) -> list[Row]:
    return list(true(entry, look)) if "grant" in entry.event.body else []


def denied_for_ever(true: Any, entry: Entry, look: Look) -> list[Row]:
    grant, name = true(entry, look)
    old = look.get(Grant, grant.patient, grant.grantee, grant.lineage)
    return [grant._replace(active=old is None or old.active), name]


def never_grants_again(true: Any, entry: Entry, look: Look) -> list[Row]:
    grant, name = true(entry, look)
    old = look.get(Grant, grant.patient, grant.grantee, grant.lineage)
    return [old or grant, name]


AROUND: Final = [
    Fault("a chart is shown whole", part("decide_list", all_or_nothing), "P12 P20"),
    Fault("a chart is decided without records", part("decide_list", as_without_a_record), "P20"),
    Fault("a chart is decided by its first record",
          part("decide_list", first_record_decides), "P20"),
    Fault("facts are gathered as of now", as_of_now, "P13"),
    Fault("uses are not counted", forgotten("record.opened"), "P6 P20"),
    Fault("hiding is forgotten", forgotten("record.hidden"), "P20"),
    Fault("showing is forgotten", forgotten("record.shown"), "P20"),
    Fault("who left a group is in it", forgotten("group.left"), "P20"),
    Fault("revocations are forgotten", forgotten("access.revoked"), "P5 P18 P20"),
    Fault("revoking all revokes nothing", fold("access.revoked", only_if_named), "P5 P18 P20"),
    Fault("revoking twice restores", fold("access.revoked", toggled), "P3 P20"),
    Fault("what was revoked stays so", fold("access.granted", denied_for_ever), "P18 P20"),
    Fault("a lineage has one grant", fold("access.granted", never_grants_again), "P18 P20"),
]  # fmt: skip


# --- S10


def through_anybody(true: Any, request: Request, delegations: Any) -> Any:
    """However many are in between."""
    found: list[Any] = []
    ways: list[Any] = [(one,) for one in delegations if one.giver == request.on_behalf_of]
    while ways:
        way = ways.pop()
        if way[-1].account == request.actor:
            found.append(way)
        elif len(way) < len(delegations):
            ways += [(*way, one) for one in delegations if one.giver == way[-1].account]
    return found


def delegation_suffices(true: Any, request: Request, facts: Facts, policy: Policy) -> Any:
    """Whatever the colleague may do themselves."""
    return tuple(one.seq for one in facts.delegations if one.account == request.actor)


def as_related(**changes: Callable[[Any, Request], Any]) -> Callable[..., Any]:
    """The relation as if it were another."""

    def mutant(true: Any, relation: Any, request: Request, patient: Any) -> Any:
        changed = {name: change(relation, request) for name, change in changes.items()}
        return true(relation._replace(**changed), request, patient)

    return mutant


def unlimited(true: Stage, request: Request, facts: Facts, policy: Policy) -> Decision | None:
    """As if every doctor were a physician."""
    member = facts.member and facts.member._replace(profession="")
    return true(request, facts._replace(member=member), policy)


def unlimited_giver(true: Any, request: Request, giver: Any, facts: Facts, policy: Policy) -> Any:
    """Whatever the policy leaves the profession of who passes it on."""
    return true(request, giver, facts, replace(policy, professions=None))


BEHALF: Final = [
    Fault("S1 knows no profession", stage("_role", unlimited), "P20"),
    Fault("S1 goes by no policy's professions",
          part("_let", lambda true, member, action, policy: true(member, action, Policy.of(DEFAULT_POLICY, 0))), "P20"),
    Fault("S1 limits those it has no word for",
          part("_let", lambda true, member, action, policy: bool(member and member.profession) and true(member, action, policy)), "P20"),
    Fault("S10 asks not what the giver's profession may", part("_passes", unlimited_giver), "P9"),
    Fault("S10 goes through three", part("_chains", through_anybody), "P9"),
    Fault("S10 asks not what a colleague may", part("_for_colleague", delegation_suffices), "P9 P20"),
    Fault("S10 lets the excluded pass it on", part("_passes", lambda true, *a: True), "P9"),
    Fault("S10 asks not who gave it",
          part("_passes", lambda true, r, giver, facts, policy: giver.member is not None), "P9"),
    Fault("S10 includes the end", part("_reaches", as_related(end=lambda one, r: one.end + 1)), "P20"),
    Fault("S10 lets do everything",
          part("_reaches", as_related(actions=lambda one, r: (r.action,))), "P20"),
    Fault("S10 shows the whole chart",
          part("_reaches", as_related(scope=lambda one, r: "full", exceptions=lambda one, r: (), sensitive=lambda one, r: True)), "P20"),
    Fault("S10 waits for nobody", part("_reaches", as_related(start=lambda one, r: 0)), "P20"),
    Fault("S10 overrules objections", part("_reaches", as_related(objected=lambda one, r: 0)), "P20"),
    Fault("S10 knows no minor's own", part("_lost", lambda true, *given: False), "P17 P20"),
    Fault("S9 serves relatives", stage("_grant", served_relatives), "P20"),
    Fault("S9 lets outlive the relation of who gave", stage("_grant", outlived), "P20"),
    Fault("S4 tells whom nothing would be given",
          stage("_harm", told_to_all), "P20"),
    Fault("S4 is lifted by a claim",
          part("is_against", lambda true, hold, *asker: true(hold._replace(of_patient=False), *asker)), "P20"),
    Fault("an exclusion leaves the relation", fold("reader.excluded", lambda true, entry, look: true(entry, look)[:1]), "P20"),
    Fault("S10 guards the grown",
          part("_guards", lambda true, one, r, patient: true(one, r, patient._replace(adult_from=1 << 60))), "P17 P20"),
    Fault("S10 acts for anybody",
          part("_for_patient", lambda true, r, facts, policy: true(r._replace(on_behalf_of=facts.patient.account), facts, policy)),
          "P20"),
]  # fmt: skip


def linked_as(**changes: Any) -> Callable[..., Any]:
    """Links as if they were others."""

    def mutant(true: Any, request: Request, facts: Facts, policy: Policy) -> Any:
        patient = facts.patient
        if patient is not None:
            links = tuple(link._replace(**changes) for link in patient.links)
            facts = facts._replace(patient=patient._replace(links=links))
        return true(request, facts, policy)

    return mutant


def nothing_named(true: Any, grant: Grant, record: Record | None, patient: Any) -> Any:
    """Whatever a grant names in its own chart."""
    return true(grant._replace(uses=0, scope="full", exceptions=()), record, patient)


def nothing_sensitive(true: Any, grant: Grant, record: Record | None, patient: Any) -> Any:
    return true(grant, None, patient)


LINKED: Final = [
    Fault("S7 holds in one chart alone", stage("_exclusion", linked_as(holds=False)), "P20"),
    Fault("S9 carries what one has signed", stage("_grant", linked_as(signed=1, theirs=1)), "P20"),
    Fault("S9 carries nothing", part("carrying", lambda true, *given: None), "P20"),
    Fault("S9 carries what is named", part("carrying", nothing_named), "P20"),
    Fault("S9 carries what is sensitive", part("carrying", nothing_sensitive), "P20"),
    Fault("links are forgotten", forgotten("patient.linked"), "P20"),
    Fault("ends of links are forgotten", forgotten("patient.unlinked"), "P20"),
]  # fmt: skip

FAULTS: Final = [*LINKED, *FIRST, *EXCLUSIONS, *SCOPES, *CRITERIA, *AROUND, *BEHALF]
