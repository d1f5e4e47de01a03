"""P1 to P8 of the page on consent: what facts may change, and what they may not.

Each is a function of a `Random` and asserts; `properties.py` lists them all.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

from consent import decide as engine
from consent import gate
from consent.decide import Decision, Facts, Request
from ledger.facts import Grant, Provision, Record
from tests.support.consent import model
from tests.support.consent.cases import Case, chart_entries, fold, in_words
from tests.support.consent.examples import GRANT, POLICY, example, excluded, question
from tests.support.consent.model import Ask, Situation
from tests.support.consent.random_cases import (
    ACCOUNTS,
    DAY,
    GROUPS,
    HOSPITALS,
    NOW,
    add_consent,
    consented_ask,
    emergency_ask,
    held,
    random_case,
)

QUESTIONS: Final = 8
"""Questions asked about one random situation."""
ODD: Final = ("", "none", "ac_7", "S5", "TREAT", "\N{SNOWMAN}")
"""Texts that members of a question have not."""

# --- P1, P2


def p1_pure_total_deterministic(rng: Random) -> None:
    """The same question has the same answer, whatever was asked in between, and it is well formed.

    Also a question that nobody could ask has one.
    """
    situation, policy, asks = random_case(rng, QUESTIONS)
    case, anew = Case(situation, policy), Case(situation, policy)
    first = [case.answer(ask) for ask in asks]
    assert first == [anew.answer(ask) for ask in reversed(asks)][::-1]
    for ask in asks:
        request, facts = case.asked(ask)
        well_formed(engine.decide(request, facts, case.policy))
        fewer = rng.choice((facts, facts._replace(patient=None), Facts(None, None, ())))
        well_formed(engine.decide(odd(rng, request), fewer, case.policy))


def odd(rng: Random, request: Request) -> Request:
    """The same with some members that no event could give it."""
    texts = {name: rng.choice(ODD) for name in ("actor", "role", "hospital", "action", "purpose")}
    members = texts | {"now": rng.randint(-DAY, NOW), "assurance": rng.randint(-1, 4)}
    chosen: dict[str, Any] = {name: members[name] for name in rng.sample(sorted(members), 2)}
    if request.record is not None:
        record = request.record._replace(confidentiality=rng.choice(ODD), state=rng.choice(ODD))
        chosen["record"] = record._replace(clinical_date=rng.choice(ODD))
    return request._replace(**chosen)


def well_formed(decision: Decision) -> None:
    assert decision.effect in ("permit", "deny")
    assert decision.rule in RULES
    assert len(decision.basis) <= 8
    assert len(set(decision.basis)) == len(decision.basis)
    assert bool(decision.reason) == (decision.effect == "deny")
    assert "record" in decision.obligations


RULES: Final = ("S0", "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12")


def p2_without_facts_few_permits(rng: Random) -> None:
    """Without consent only S1, S5, S6, asking for access and declaring an emergency permit."""
    situation, policy, asks = random_case(rng, QUESTIONS)
    names = (
        "grants",
        "revocations",
        "exclusions",
        "openings",
        "emergencies",
        "relations",
        "delegations",
        "links",
        "consultations",
        "referrals",
    )
    nothing: Situation = {name: [] for name in names}
    case = Case(situation | nothing, policy)
    for ask in asks:
        effect, rule, _, _ = case.answer(ask)
        free = ask["action"] in ("request_access", "declare_emergency")
        assert effect == "deny" or rule in ("S1", "S5", "S6") or free
        (effect, rule, _, _), shown = case.chart(ask | {"action": "list"})
        assert (effect, shown) == ("deny", []) or rule in ("S1", "S5", "S6")


# --- P3 to P5: what is added and taken away


def p3_what_denies_permits_nothing(rng: Random) -> None:
    """One more revocation or exclusion turns no denial into a permit; also the second of two."""
    around(rng, one_more_denial, earlier=rng.choice((unchanged, one_more_denial)))


def p4_fewer_lineages_permit_nothing(rng: Random) -> None:
    """One lineage less turns no denial into a permit."""
    around(rng, without_lineage, earlier=unchanged)


def p5_nothing_rests_on_what_was_revoked(rng: Random) -> None:
    situation, policy, asks = granted_case(rng)
    grant = rng.choice(situation["grants"])
    after = Case(revoke(rng, situation, grant), policy)
    revoked = {g["seq"] for g in situation["grants"] if g["lineage"] == grant["lineage"]}
    for ask in asks:
        assert not revoked & set(after.answer(ask)[3])
        assert not revoked & set(after.chart(ask | {"action": "list"})[0][3])


Change = Callable[[Random, Situation, Ask], Situation]


def around(rng: Random, change: Change, earlier: Change) -> None:
    """After the change nobody may do, or sees, what they might not before."""
    situation, policy, asks = granted_case(rng)
    grant = rng.choice(situation["grants"])
    situation = earlier(rng, situation, grant)
    before, after = Case(situation, policy), Case(change(rng, situation, grant), policy)
    for ask in asks:
        for asked in (ask, ask | {"action": "declare_emergency"}):
            assert before.permits(asked) or not after.permits(asked)
        listing = ask | {"action": "list"}
        assert set(after.chart(listing)[1]) <= set(before.chart(listing)[1])


def revoke(rng: Random, situation: Situation, grant: Ask) -> Situation:
    lineage = rng.choice((None, grant["lineage"]))
    end = {"seq": next_seq(situation), "grantee": grant["grantee"], "lineage": lineage}
    return situation | {"revocations": [*situation["revocations"], end]}


def exclude(rng: Random, situation: Situation, grant: Ask) -> Situation:
    """Of somebody who isn't excluded already."""
    readers = (grant["grantee"], *ACCOUNTS[:5], *HOSPITALS, *GROUPS)
    free = [reader for reader in readers if model.excluded_by(situation, reader) is None]
    exclusion = excluded(rng.choice((free[0], rng.choice(free))), next_seq(situation))
    return situation | {"exclusions": [*situation["exclusions"], exclusion]}


def one_more_denial(rng: Random, situation: Situation, grant: Ask) -> Situation:
    return rng.choice((revoke, exclude, exclude_elsewhere, hold))(rng, situation, grant)


def exclude_elsewhere(rng: Random, situation: Situation, grant: Ask) -> Situation:
    """In a chart of the same person, which a hospital linked just now."""
    seq = next_seq(situation)
    readers = (grant["grantee"], *ACCOUNTS[:5], *HOSPITALS, *GROUPS)
    link = {
        "other": f"pt_{seq}", "registered": 0, "account": ACCOUNTS[0], "seq": seq, "grants": [], "signed": None,
        "theirs": None, "parted": None, "exclusions": [excluded(rng.choice(readers), seq + 1)],
    }  # fmt: skip
    return situation | {"links": [*situation.get("links", []), link]}


def hold(rng: Random, situation: Situation, grant: Ask) -> Situation:
    """A harm hold or a legal one, on one of the records."""
    record = rng.choice(situation["records"])
    against = rng.choice(ACCOUNTS[:3])
    placed = held(record, next_seq(situation), rng.choice((against, None)))
    return situation | {"holds": [*situation.get("holds", []), placed]}


def unchanged(rng: Random, situation: Situation, grant: Ask) -> Situation:
    return situation


def next_seq(situation: Situation) -> int:
    """After all that a random case draws."""
    kinds = ("exclusions", "revocations", "holds", "links")
    return 900 + 2 * sum(len(situation.get(kind, [])) for kind in kinds)


def without_lineage(rng: Random, situation: Situation, grant: Ask) -> Situation:
    lineage = grant["lineage"]
    left = [g for g in situation["grants"] if g["lineage"] != lineage]
    seqs = {g["seq"] for g in left}
    return situation | {
        "grants": left,
        "revocations": [end for end in situation["revocations"] if end["lineage"] != lineage],
        "openings": [used for used in situation["openings"] if set(used["basis"]) <= seqs],
    }


def granted_case(rng: Random) -> tuple[Situation, Ask, list[Ask]]:
    """A random case in which much was granted, asked about by those to whom it was."""
    situation, policy, _ = random_case(rng, 0)
    for seq in range(200, 206):
        add_consent(rng, situation, seq)
    if not situation["grants"]:
        return granted_case(rng)
    asks = [consented_ask(rng, situation) for _ in range(QUESTIONS)]
    if situation["emergencies"]:
        asks += [emergency_ask(rng, situation) for _ in range(2)]
    return situation, policy, asks


# --- P10


def p10_emergencies_open_no_more(rng: Random) -> None:
    """What an emergency permits lies below the ceiling, is listing and reading, carries the obligations, and an exclusion of
    the person beats it; its bounds are half-open."""
    situation, policy, _ = random_case(rng, 0)
    if not situation["emergencies"]:
        return
    case = Case(situation, policy)
    ceiling = model.ceiling(situation)
    for ask in (emergency_ask(rng, situation) for _ in range(QUESTIONS)):
        decision = case.decision(ask)
        if (decision.effect, decision.rule) != ("permit", "S8"):
            continue
        assert decision.obligations == ("record", "tell_patient", "tell_privacy_officer", "review")
        if ask["action"] != "declare_emergency":
            assert ask["action"] in ("list", "read")
            assert ask["record"] is not None and not model.hidden(ask["record"])
            sensitive = ask["record"]["sensitive"] or ask["record"]["confidentiality"] != "normal"
            assert ceiling == "restricted" or (ceiling == "normal" and not sensitive)
            one = next(e for e in situation["emergencies"] if (e["seq"],) == decision.basis)
            assert one["start"] <= ask["now"] < one["end"]
            assert ask["now"] < one["start"] + policy["emergency_hours"] * model.HOUR
        out = situation["exclusions"] + [excluded(ask["actor"], 950)]
        assert not Case(situation | {"exclusions": out}, policy).permits(ask)


# --- P6 to P8


def p6_bounds_are_half_open(rng: Random) -> None:
    """Whomever it is to and whatever its scope; the uses are bounded alike."""
    start = NOW + rng.randint(-DAY, DAY)
    end = start + rng.randint(1, DAY)
    scope = rng.choice(
        (
            {},
            {"kind": "selective", "records": ["rc_0"]},
            {"kind": "partial", "what": {"categories": ["laboratory"]}},
        )
    )
    uses, used = rng.choice((None, 1, 2, 3)), rng.randint(0, 3)
    grantee = rng.choice(("ac_2", "hs_1", "gp_1"))
    grant = GRANT | scope | {"start": start, "end": end, "uses": uses, "grantee": grantee}
    opening = {"type": "record.opened", "basis": [20], "actor": "ac_2", "hospital": "hs_1"}
    openings = [opening | {"seq": 30 + number} for number in range(used)]
    case = Case(example(grants=[grant], openings=openings), POLICY)
    left = uses is None or used < uses
    for now, may in ((start - 1, False), (start, True), (end - 1, True), (end, False)):
        assert case.permits(question("stranger", "read", now=now)) == (may and left)


def p7_the_order_of_facts_is_nothing(rng: Random) -> None:
    """Of grants, exclusions and groups, of what a grant lists, and of the records of a chart."""
    situation, policy, asks = granted_case(rng)
    case = Case(situation, policy)
    for ask in asks:
        request, facts = case.asked(ask)
        mixed = facts._replace(
            grants=mix(rng, [mixed_grant(rng, grant) for grant in facts.grants]),
            groups=mix(rng, facts.groups),
            exclusions=mix(rng, facts.exclusions),
            emergencies=mix(rng, facts.emergencies),
            links=mix(rng, facts.links),
            referrals=mix(rng, facts.referrals),
        )
        assert engine.decide(request, facts, case.policy) == engine.decide(
            request, mixed, case.policy
        )
        alone = request._replace(action="list", record=None)
        records = [case.record(record) for record in situation["records"]]
        assert engine.decide_list(alone, facts, case.policy, records) == engine.decide_list(
            alone, mixed, case.policy, mix(rng, records)
        )


def mix(rng: Random, values: Iterable[Any]) -> tuple[Any, ...]:
    listed = list(values)
    return tuple(rng.sample(listed, len(listed)))


def mixed_grant(rng: Random, grant: Grant) -> Grant:
    return grant._replace(
        records=mix(rng, grant.records),
        labels=mix(rng, grant.labels),
        exceptions=mixed_provisions(rng, grant.exceptions),
    )


def mixed_provisions(rng: Random, provisions: tuple[Provision, ...]) -> tuple[Provision, ...]:
    return mix(
        rng,
        [one._replace(exceptions=mixed_provisions(rng, one.exceptions)) for one in provisions],
    )


def p8_other_patients_are_nothing(rng: Random) -> None:
    """What happened in another chart, in the same rows, and even among the facts of this one."""
    situation, policy, asks = granted_case(rng)
    other = foreign(rng)
    alone, beside = Case(situation, policy), Case(situation, policy)
    fold(chart_entries(other), beside.rows)
    for ask in asks:
        assert alone.answer(ask) == beside.answer(ask)
        listing = ask | {"action": "list"}
        assert alone.chart(listing) == beside.chart(listing)
        request, facts = beside.asked(ask)
        theirs = gate.gather(request._replace(patient="pt_1"), beside.rows)
        more = facts._replace(
            grants=(*theirs.grants, *facts.grants),
            exclusions=(*theirs.exclusions, *facts.exclusions),
            emergencies=(*theirs.emergencies, *facts.emergencies),
            links=(*theirs.links, *facts.links),
            referrals=(*theirs.referrals, *facts.referrals),
        )
        assert in_words(engine.decide(request, more, beside.policy)) == alone.answer(ask)
        record = beside.rows.get(Record, rng.choice(other["records"])["id"])
        astray = engine.decide(request._replace(record=record), facts, beside.policy)
        assert in_words(astray) == ("deny", "S0", "invalid", ())


def foreign(rng: Random) -> Situation:
    """Another patient's situation, by later entries; the same people and hospitals."""
    other, _, _ = random_case(rng, 0, 1_000)
    for seq in range(1_200, 1_206):
        add_consent(rng, other, seq)
    patient = (other["patient"] or example()["patient"]) | {"id": "pt_1", "account": "ac_4"}
    return other | {"chart": "pt_1", "patient": patient}
