"""Witness policies (C2SP tlog-policy): their form, and which cosignatures meet them."""

import itertools
import struct
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from crypto.cosignatures import Checkpoint, ed25519_message, ml_dsa_message
from crypto.errors import FormError
from crypto.notes import LogSigner, VerifierKey, signature_line
from crypto.signing import SigningKey
from ledger.errors import ProofError
from ledger.witnesses import WitnessPolicy, outside_policy, own_policy

ORIGIN = "log.example/w"
LOG = LogSigner(ORIGIN, bytes([1]) * 32, bytes([2]) * 32)
SEEDS = {name: bytes([ord(name)]) * 32 for name in "abcde"}
KEYS = {
    name: VerifierKey(f"witness.example/{name}", 0x04, SigningKey(seed).public)
    for name, seed in SEEDS.items()
}
ML_DSA = MLDSA44PrivateKey.from_seed_bytes(bytes([9]) * 32)
ML_KEY = VerifierKey("witness.example/m", 0x06, ML_DSA.public_key().public_bytes_raw())
HEAD = Checkpoint(ORIGIN, 7, bytes(range(32)))
TIME = 1_795_000_000  # Unix seconds
LOG_LINE = f"log {LOG.keys[0]}\n"
WITNESSES = "".join(f"witness {name} {key}\n" for name, key in KEYS.items())


def cosigned(names: Sequence[str], time: int = TIME) -> bytes:
    """The checkpoint, signed by the log and cosigned by the named witnesses; `m` signs with ML-DSA-44."""
    note = LOG.sign(HEAD, TIME)
    for name in names:
        if name == "m":
            key, value = ML_KEY, ML_DSA.sign(ml_dsa_message(ML_KEY.name, time, HEAD))
        else:
            key = KEYS[name]
            value = SigningKey(SEEDS[name]).sign(ed25519_message(time, HEAD.text()))
        note += signature_line(key, struct.pack(">Q", time) + value)
    return note


def policy(text: str) -> WitnessPolicy:
    return WitnessPolicy.parse((LOG_LINE + WITNESSES + text).encode())


def meeting(text: str, among: str) -> set[str]:
    """The least sets of witnesses that meet a policy's quorum."""
    found: list[set[str]] = []
    for count in range(len(among) + 1):
        for names in itertools.combinations(among, count):
            if policy(text).met_by(names) and not any(less <= set(names) for less in found):
                found.append(set(names))
    return {"".join(sorted(names)) for names in found}


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("quorum none\n", {""}),
        ("quorum a\n", {"a"}),
        ("group g any a b\nquorum g\n", {"a", "b"}),
        ("group g all a b c\nquorum g\n", {"abc"}),
        ("group g 2 a b c\nquorum g\n", {"ab", "ac", "bc"}),
        ("group x 2 a b c\ngroup y any d e\ngroup both all x y\nquorum both\n",
         {"abd", "abe", "acd", "ace", "bcd", "bce"}),
        ("group x all a b\ngroup y any x c\nquorum y\n", {"ab", "c"}),
        ("# g\n\n\t group  g\t1   a  \n quorum g\n", {"a"}),
    ],
)  # fmt: skip
def test_a_quorum_is_met_by_these_and_no_fewer(text: str, least: set[str]) -> None:
    assert meeting(text, "abcde") == least


def test_a_name_that_the_policy_does_not_know_meets_nothing() -> None:
    found = policy("group g any a b\nquorum g\n")
    assert not found.met_by(["g", "z", "none"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "group g any a\n",
        "quorum a\nquorum a\n",
        "quorum z\n",
        "quorum\n",
        "quorum a b\n",
        "quorum g\ngroup g any a\n",
        "group g\nquorum none\n",
        "group g any\nquorum none\n",
        "group g 0 a\nquorum none\n",
        "group g 3 a b\nquorum none\n",
        "group g 01 a\nquorum none\n",
        "group g +1 a\nquorum none\n",
        "group g some a\nquorum none\n",
        "group g any z\nquorum none\n",
        "group g any none\nquorum none\n",
        "group g any a a\nquorum none\n",
        "group g any a\ngroup h any a\nquorum none\n",
        "group g any g\nquorum none\n",
        "group a any b\nquorum none\n",
        "group none any a\nquorum none\n",
        f"witness a {ML_KEY}\nquorum none\n",
        f"witness none {ML_KEY}\nquorum none\n",
        f"witness z {KEYS['a']}\nquorum none\n",
        f"witness z {LOG.keys[0]}\nquorum none\n",
        f"witness z {ML_KEY} url more\nquorum none\n",
        f"log {LOG.keys[0]}\nquorum none\n",
        f"log {VerifierKey('x.example', 0x04, KEYS['a'].public)}\nquorum none\n",
        f"log {LOG.keys[0]}x\nquorum none\n",
        "unknown a\nquorum none\n",
        "quorum none",
        "quorum none\r\n",
        "quorum none\x00\n",
        "quorum\xa0none\n",
    ],
)
def test_a_policy_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormError, match="policy: "):
        policy(text)


def test_cosignatures_of_both_kinds_count() -> None:
    found = policy(f"witness m {ML_KEY}\ngroup g all a m\nquorum g\n")
    assert found.check(cosigned("am"), LOG.keys) == ["a", "m"]
    for names in ("", "a", "m", "bc"):
        with pytest.raises(ProofError, match="its quorum g is not met"):
            found.check(cosigned(names), LOG.keys)


def test_one_witness_that_signs_twice_is_one() -> None:
    with pytest.raises(ProofError, match="not met: a cosigned"):
        policy("group g 2 a b\nquorum g\n").check(cosigned("aa"), LOG.keys)


def test_a_cosignature_that_does_not_fit_is_refused() -> None:
    note = cosigned("a")[:-10] + b"AAAAAAA=\n"
    with pytest.raises(ProofError, match=r"^checkpoint: signature line of witness.example/a"):
        policy("quorum none\n").check(note, LOG.keys)


def test_the_log_is_no_witness_of_its_own() -> None:
    """Its ML-DSA-44 signature has the form of a cosignature, so it would meet any quorum."""
    with pytest.raises(ProofError, match="the log itself"):
        policy(f"witness z {LOG.keys[1]}\nquorum z\n").check(cosigned(""), LOG.keys)


@pytest.mark.parametrize("name", ["a", "m"])
def test_times_above_what_others_can_count_are_refused(name: str) -> None:
    found = policy(f"witness m {ML_KEY}\nquorum {name}\n")
    assert found.check(cosigned(name, 2**63 - 1), LOG.keys) == [name]
    with pytest.raises(ProofError, match="timestamp"):
        found.check(cosigned(name, 2**63), LOG.keys)


def test_an_own_policy_is_about_its_own_log() -> None:
    other = LogSigner("other.example", bytes(32), bytes(32)).keys[0]
    both = f"{LOG_LINE}log {other}\nquorum none\n".encode()
    with pytest.raises(FormError, match="another log's key"):
        own_policy(both, LOG.keys)
    assert outside_policy(both, LOG.keys).logs == [LOG.keys[0], other]
    with pytest.raises(ProofError, match="other logs"):
        outside_policy(f"log {other}\nquorum none\n".encode(), LOG.keys)
    assert outside_policy(b"quorum none\n", LOG.keys).quorum == "none"
