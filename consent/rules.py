"""The rules in words: what each stage of `decide` is about, for whoever reads its number."""

RULES = {
    "S0": ("not valid", "somebody or something named is unknown or not active, or the key isn't the actor's"),
    "S1": ("role", "what each role, and each profession of doctors, may do at most; an auditor in term may verify and see who did what"),
    "S2": ("state", "nobody has claimed the chart yet, or may claim it; the record was erased or retracted, is kept for a court, or the patient has died"),
    "S3": ("sign-in", "what needs a stronger sign-in, or a key of one's own"),
    "S4": ("harm hold", "the hospital that wrote the record holds it back for a while, because it would harm"),
    "S5": ("own chart", "patients may do with their own chart whatever the law allows"),
    "S6": ("own records", "a hospital keeps, reads and corrects the records that it wrote itself"),
    "S7": ("exclusion", "the patient keeps a person, a hospital or a department out"),
    "S8": ("emergency", "a doctor who declared an emergency may read up to the patient's ceiling"),
    "S9": ("grant", "the patient granted it, and the grant covers it"),
    "S10": ("on behalf", "acting for somebody, as far as that person's rights and the delegation reach"),
    "S11": ("care link", "a referral, an appointment or a consultation ties the hospital to the patient"),
    "S12": ("default", "no rule above decided: only asking for access is permitted"),
}  # fmt: skip
"""Number → (short name, sentence), in the order in which they are asked; docs/consent/rules.md has them all."""


def named(rule: str) -> str:
    """A rule by number and name, as `S9 (grant)`; a number nobody knows as it is."""
    return f"{rule} ({RULES[rule][0]})" if rule in RULES else rule
