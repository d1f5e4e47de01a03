"""P11 to P19 of the page on consent: who gets what, and by what it is explained.

Each is a function of a `Random` and asserts; `properties.py` lists them all.
"""

from random import Random
from typing import Any, Final

from consent import decide as engine
from consent.decide import Decision, Facts
from crypto import canonical
from tests.support.consent import model
from tests.support.consent.cases import Case
from tests.support.consent.examples import (
    GRANT,
    POLICY,
    RECORD,
    WHO,
    example,
    excluded,
    later,
    question,
)
from tests.support.consent.logs import random_log, recomputed
from tests.support.consent.model import Ask
from tests.support.consent.properties_of_facts import QUESTIONS, granted_case
from tests.support.consent.random_cases import (
    ACCOUNTS,
    CODES,
    DAY,
    EPISODES,
    GRANTABLE,
    GROUPS,
    HOSPITALS,
    NOW,
    PATIENT,
    random_case,
)

READINGS: Final = ("list", "read", "export")

# --- P11, P12


def p11_a_label_opens_nothing(rng: Random) -> None:
    """Of records that say of what they are sensitive: one label more, and nobody new may read.

    Sensitive without a label is no record of a log: its events say both or neither.
    """
    situation, policy, asks = granted_case(rng)
    for grant in situation["grants"]:
        grant["codes"] = rng.choice((CODES, grant["codes"]))
        denial = {"type": "deny", "labels": [rng.choice(CODES)]}
        grant["exceptions"] = [*grant["exceptions"], *rng.choice(([], [denial]))]
    case = Case(situation, policy)
    for ask in asks:
        record = ask["record"]
        if record is None or (record["sensitive"] and not record["labels"]):
            continue
        labels = sorted({*record["labels"], rng.choice(CODES)})
        more = record | {"labels": labels, "sensitive": rng.random() < 0.5 or record["sensitive"]}
        for action in READINGS:
            reading = ask | {"action": action}
            assert case.permits(reading) or not case.permits(reading | {"record": more})


def p12_what_is_listed_can_be_read(rng: Random) -> None:
    """With the highest assurance, grants of both actions and a profession that lets do both; of the adult patient, also exported.

    On every page: what is shown of some of the records is that part of the whole.
    """
    situation, policy, asks = granted_case(rng)
    linked = [grant for link in situation["links"] for grant in link["grants"]]
    for grant in (*situation["grants"], *linked):
        grant["actions"] = rng.choice((["list", "read"], GRANTABLE))
    for one in (*situation["delegations"], *situation["relations"]):
        one["actions"] = sorted({*one["actions"], "list", "read"})
    limits = policy.get("professions", {})
    policy |= (
        {"professions": {who: sorted({*may_do, "list", "read"}) for who, may_do in limits.items()}}
        if limits
        else {}
    )
    case = Case(situation, policy)
    for ask in [*asks, question("patient", "list")]:
        ask |= {"assurance": 3}
        readable = may(case, ask, "read")
        assert may(case, ask, "list") == readable
        assert sorted(case.chart(ask | {"action": "list"})[1]) == readable
        pages(rng, case, ask, readable)
        of_age = situation["patient"] and model.age(situation, ask["now"]) == "adult"
        if ask["role"] == "patient" and of_age:
            assert may(case, ask, "export") == readable


def may(case: Case, ask: Ask, action: str) -> list[str]:
    """The records with which somebody may do this."""
    records = case.situation["records"]
    return sorted(r["id"] for r in records if case.permits(ask | {"action": action, "record": r}))


def pages(rng: Random, case: Case, ask: Ask, readable: list[str]) -> None:
    request, facts = case.asked(ask | {"action": "list", "record": None})
    records = [case.record(record) for record in case.situation["records"]]
    cut = rng.randint(0, len(records))
    for page in (records[:cut], records[cut:]):
        _, shown = engine.decide_list(request, facts, case.policy, page)
        there = {record.record for record in page}
        assert {record.record for record in shown} == there & set(readable)


# --- P13, P14


def p13_the_log_gives_its_decisions_again(rng: Random) -> None:
    """Byte for byte, by the entries before each alone; also which records a chart showed."""
    for logged, anew, shown in recomputed(random_log(rng)):
        assert canonical.write(anew.decision) == canonical.write(logged)
        if logged["effect"] == "permit":
            assert anew.shown == shown


def p14_the_basis_explains(rng: Random) -> None:
    """With only what the basis names left, and with that and all that denies, it is the same."""
    situation, policy, asks = granted_case(rng)
    case = Case(situation, policy)
    for ask in asks:
        request, facts = case.asked(ask)
        decision = engine.decide(request, facts, case.policy)
        for few in explained(facts, decision):
            assert engine.decide(request, few, case.policy) == decision
        alone = request._replace(action="list", record=None)
        records = [case.record(record) for record in situation["records"]]
        listed, _ = engine.decide_list(alone, facts, case.policy, records)
        for few in explained(facts, listed):
            assert engine.decide_list(alone, few, case.policy, records)[0] == listed


def explained(facts: Facts, decision: Decision) -> tuple[Facts, Facts]:
    """The facts that the basis names, without and with all exclusions; who somebody is remains.

    A harm hold is told to whom the record would be given otherwise: by facts that its basis doesn't name.
    """
    if decision.rule == "S4":
        holding = tuple(hold for hold in facts.holds if hold.seq in decision.basis)
        return facts._replace(holds=holding), facts
    grants = tuple(grant for grant in facts.grants if grant.seq in decision.basis)
    denying = tuple(one for one in facts.exclusions if one.seq in decision.basis)
    declared = tuple(one for one in facts.emergencies if one.seq in decision.basis)
    tied = tuple(one for one in facts.links if one.seq in decision.basis)
    sent = tuple(one for one in facts.referrals if one.accepted in decision.basis)
    few = facts._replace(grants=grants, emergencies=declared, links=tied, referrals=sent)
    return few._replace(exclusions=denying), few


# --- P15 to P19


def p15_auditors_and_admins_get_no_content(rng: Random) -> None:
    situation, policy, asks = random_case(rng, QUESTIONS)
    case = Case(
        situation | {"members": example()["members"], "accounts": example()["accounts"]}, policy
    )
    for ask in asks:
        who = rng.choice(("admin", "auditor"))
        named = dict(zip(("actor", "role", "hospital"), WHO[who], strict=True))
        for action in (*READINGS, "append", "amend"):
            assert not case.permits(ask | named | {"action": action})
        answer, shown = case.chart(ask | named | {"action": "list"})
        assert (answer[0], shown) == ("deny", [])


def p16_names_are_nothing(rng: Random) -> None:
    """Other ids for all that is named, and the same answer on the same entries."""
    situation, policy, asks = granted_case(rng)
    names = [PATIENT, *ACCOUNTS, *HOSPITALS, *GROUPS, *CODES, *EPISODES]
    names += [named["id"] for named in (*situation["grants"], *situation["records"])]
    numbers = rng.sample(range(10**6), len(names))
    others = {
        old: f"{old.partition('_')[0]}_{new:06}" for old, new in zip(names, numbers, strict=True)
    }
    before, after = (
        Case(situation, policy),
        Case(renaming(situation | {"chart": PATIENT}, others), policy),
    )
    for ask in asks:
        renamed = renaming(ask, others)
        assert before.answer(ask) == after.answer(renamed)
        answer, shown = before.chart(ask | {"action": "list"})
        assert after.chart(renamed | {"action": "list"}) == (answer, renaming(shown, others))


def renaming(value: Any, names: dict[str, str]) -> Any:
    """The same with other names, also of the keys of dicts."""
    if isinstance(value, dict):
        return {renaming(key, names): renaming(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [renaming(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def p17_ages_flip_at_the_instant(rng: Random) -> None:
    teen = NOW + rng.randint(-DAY, DAY)
    adult = teen + rng.randint(1, DAY)
    patient = example()["patient"] | {"teen_from": teen, "adult_from": adult}
    old = RECORD | {"clinical_date": "2020-01-01"}  # nobody has to keep it any more
    case = Case(example(patient=patient, records=[old]), POLICY)
    edges = {"list": teen, "read": teen, "exclude": teen, "grant": teen, "hide": teen}
    for action, edge in (edges | {"erase": adult, "export": adult}).items():
        for now in (edge - 1, edge, edge + 1):
            ask = question("patient", action, now=now, record=None)
            assert case.permits(ask) == (now >= edge)
    claims = [{"seq": 12, "code": True, "hospital": "hs_0"}]
    waiting = example(patient=case.situation["patient"] | {"claims": claims})
    for who, step in (("admin", "offer"), ("person", "claim")):
        for now in (teen - 1, teen, teen + 1):
            ask = question(who, "register", now=now, record=None, step=step)
            assert Case(waiting, POLICY).permits(ask) == (now >= teen)
    guardians_lose_at_the_instant(case.situation["patient"], teen, adult)


def guardians_lose_at_the_instant(patient: Ask, teen: int, adult: int) -> None:
    """What is private to the minor at `teen`, the rest at `adult`."""
    private = RECORD | {"minor_private": True}
    guardian: Ask = {
        "seq": 30, "account": "ac_2", "kind": "guardian", "terms": GRANT, "actions": [], "start": NOW, "end": NOW,
        "appointed": NOW - 10 * DAY, "confirmed": None, "objected": None, "ended": None,
    }  # fmt: skip
    case = Case(example(patient=patient, records=[private], relations=[guardian]), POLICY)
    for record, edge in ((private, teen), (RECORD, adult)):
        for now in (edge - 1, edge, edge + 1):
            ask = question("relative", "read", now=now, record=record, on_behalf_of="ac_0")
            assert case.permits(ask) == (now < edge)


def p18_the_last_word_counts(rng: Random) -> None:
    """Granted, revoked and granted again in a lineage; excluded and included, for every lineage."""
    grantee, reader = rng.choice(("ac_2", "hs_1", "gp_1")), rng.choice(("ac_2", "hs_1", "gp_1"))
    grants, ends, exclusions, granted, out = [GRANT | {"grantee": grantee}], [], [], True, False
    for seq in range(30, 30 + rng.randint(1, 8)):
        if rng.random() < 0.4:
            out = not out
            exclusions.append(excluded(reader, seq, lifted=not out))
        elif rng.random() < 0.5:
            grants.append(later(seq, lineage="gr_20", grantee=grantee))
            granted = True
        else:
            lineage = rng.choice((None, "gr_20"))
            ends.append({"seq": seq, "grantee": grantee, "lineage": lineage})
            granted = False
    other = [later(50, grantee="ac_2")] if rng.random() < 0.5 else []
    situation = example(grants=[*grants, *other], revocations=ends, exclusions=exclusions)
    may_read = (granted or bool(other)) and not out
    assert Case(situation, POLICY).permits(question("stranger", "read")) == may_read


def p19_patients_are_locked_out_by_few_stages(rng: Random) -> None:
    """Of age and for themselves, whatever they excluded, hid and revoked."""
    situation, policy, asks = granted_case(rng)
    if situation["patient"] is None:
        return
    situation["patient"] |= {"teen_from": None, "adult_from": None}
    situation["exclusions"].append(excluded(ACCOUNTS[0], 900))
    case = Case(situation, policy)
    for ask in asks:
        record = rng.choice((ask["record"], RECORD | {"hidings": [12]}, None))
        asked = ask | {"actor": ACCOUNTS[0], "role": "patient", "hospital": None}
        asked |= {"on_behalf_of": None, "record": record, "assurance": rng.randint(1, 3)}
        for action in READINGS:
            effect, rule, _, _ = case.answer(asked | {"action": action})
            assert effect == "permit" or rule in ("S0", "S1", "S2", "S3", "S4")
        (effect, rule, _, _), _ = case.chart(asked | {"action": "list"})
        assert effect == "permit" or rule in ("S0", "S1", "S2", "S3")
