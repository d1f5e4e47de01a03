"""The tree of RFC 6962 and RFC 9162 against its definitions, pymerkle and known answers."""

import base64

import pytest
from pymerkle import InmemoryTree, verify_consistency

from ledger.errors import ProofError
from ledger.merkle import (
    EMPTY_ROOT,
    check_consistency,
    consistency_proof,
    inclusion_path,
    leaf_hash,
    node_hash,
    path_lengths,
    root_from_path,
    root_of,
    tree_paths,
)
from tests.support.naive_tree import frontier_of, naive_path, naive_proof, tree_hash

SMALL = 40
KNOWN_ENTRIES = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eit",
    "nain",
    "ten",
    "ileven",
    "twelf",
    "threeten",
    "fourten",
    "fivten",
]
KNOWN_ROOTS = [
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=",
    "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=",
    "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=",
    "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=",
    "gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ=",
    "a6sWvsc2eEzmj72vah7mZ5dwFltivehh2b11qwlp5Jg=",
    "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=",
    "bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=",
    "CvhHViE3S9E3htHLR+25mapWoGCJ3WckMq1UtC3VmEY=",
    "y8/gZsZCtitsMan09tY+k8I7Qpr7Y5fbO2tLi9GQnfU=",
    "Yok1cS5VdokGLBy73BC2I16b3atss6KBN9jnIi6Fz/A=",
    "uZo6M+IhVna+CLgWCrJs0xBPUHbozHkYTQASduHSLME=",
    "av0kLH0VkkVDrTuZzBGIx7d9z5G1l/GlKz/nAV/8woQ=",
    "SvCd38yNade7xEPY1a/aAc1M3A2AHYVF8lIiUnsH1ao=",
    "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=",
]

WORDS = [b"entry %d" % number for number in range(SMALL)]
LEAVES = [leaf_hash(word) for word in WORDS]


def node(level: int, index: int) -> bytes:
    """A perfect node over the small tree's leaves."""
    leaves = LEAVES[index << level : (index + 1) << level]
    assert len(leaves) == 1 << level
    return tree_hash(leaves)


ROOTS = [tree_hash(LEAVES[:size]) for size in range(SMALL + 1)]
PLACES = [(index, size) for size in range(1, SMALL + 1) for index in range(size)]
STEPS = [(old, new) for new in range(1, SMALL + 1) for old in range(1, new + 1)]


# Known answers


def test_known_leaf_and_node() -> None:
    leaf = "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    inner = "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    assert leaf_hash(b"L123456").hex() == leaf
    assert node_hash(b"N123", b"N456").hex() == inner


@pytest.mark.parametrize("size", range(16))
def test_known_roots(size: int) -> None:
    leaves = [leaf_hash(word.encode()) for word in KNOWN_ENTRIES[:size]]
    expected = base64.b64decode(KNOWN_ROOTS[size])
    assert frontier_of(leaves).root() == tree_hash(leaves) == expected
    assert (
        root_of(size, lambda level, i: tree_hash(leaves[i << level : (i + 1) << level])) == expected
    )
    if size:
        assert tree_paths(leaves)[0] == expected
    else:
        assert expected == EMPTY_ROOT


# Roots, paths and proofs of every small size


def test_roots_of_every_size() -> None:
    tree = InmemoryTree(algorithm="sha256")
    for size, word in enumerate(WORDS, 1):
        tree.append_entry(word)
        assert root_of(size, node) == frontier_of(LEAVES[:size]).root() == ROOTS[size]
        assert tree.get_root(size) == ROOTS[size] == tree_paths(LEAVES[:size])[0]


def test_pymerkle_agrees() -> None:
    """It counts from one, its paths begin with the leaf, and its proofs hold other nodes than RFC 9162's."""
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(WORDS)
    for index, size in PLACES:
        assert tree.prove_inclusion(index + 1, size).path[1:] == inclusion_path(index, size, node)
    for old, new in STEPS:
        verify_consistency(ROOTS[old], ROOTS[new], tree.prove_consistency(old, new))


def test_every_path_verifies() -> None:
    for index, size in PLACES:
        path = inclusion_path(index, size, node)
        assert path == naive_path(index, LEAVES[:size]) == list(tree_paths(LEAVES[:size])[1][index])
        assert len(path) == path_lengths(index, size)
        assert root_from_path(index, size, LEAVES[index], path) == ROOTS[size]


def test_every_proof_verifies() -> None:
    for old, new in STEPS:
        proof = consistency_proof(old, new, node)
        assert proof == naive_proof(old, LEAVES[:new])
        check_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def altered(hashes: list[bytes]) -> list[list[bytes]]:
    """Each hash changed in one bit, left out, doubled, swapped; one more or fewer at both ends."""
    out = [[*hashes, bytes(32)], [bytes(32), *hashes]]
    for at, old in enumerate(hashes):
        before, after = hashes[:at], hashes[at + 1 :]
        flipped = old[:-1] + bytes([old[-1] ^ 1])
        out += [[*before, flipped, *after], [*before, *after], [*before, old, old, *after]]
        out += [[*before, old[:31], *after], [*before, old + b"\0", *after]]
        out += [[*before, after[0], old, *after[1:]]] if after else []
    return out


def proves_inclusion(index: int, size: int, leaf: bytes, path: list[bytes], root: bytes) -> bool:
    try:
        return root_from_path(index, size, leaf, path) == root
    except ProofError:
        return False


def proves_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:  # fmt: skip
    try:
        check_consistency(old, old_root, new, new_root, proof)
    except ProofError:
        return False
    return True


def test_every_altered_path_is_refused() -> None:
    for index, size in PLACES:
        path = inclusion_path(index, size, node)
        for wrong in altered(path):
            assert not proves_inclusion(index, size, LEAVES[index], wrong, ROOTS[size])
        for other in {index - 1, index + 1, size, -1} - {index}:
            assert not proves_inclusion(other, size, LEAVES[index], path, ROOTS[size])
        assert not proves_inclusion(index, size, node_hash(LEAVES[index], b""), path, ROOTS[size])


def test_a_path_holds_for_its_size_alone() -> None:
    for index, size in PLACES:
        path = inclusion_path(index, size, node)
        for other in range(SMALL + 1):
            if other != size:
                assert not proves_inclusion(index, other, LEAVES[index], path, ROOTS[other])


def test_every_altered_proof_is_refused() -> None:
    for old, new in STEPS:
        proof = consistency_proof(old, new, node)
        for wrong in altered(proof):
            assert not proves_consistency(old, ROOTS[old], new, ROOTS[new], wrong)
        for roots in ((bytes(32), ROOTS[new]), (ROOTS[old], bytes(32)), (ROOTS[new], ROOTS[old])):
            if roots != (ROOTS[old], ROOTS[new]):
                assert not proves_consistency(old, roots[0], new, roots[1], proof)


def test_a_proof_holds_for_its_sizes_alone() -> None:
    for old, new in STEPS:
        proof = consistency_proof(old, new, node)
        for other in range(1, SMALL + 1):
            if other != old:
                assert not proves_consistency(other, ROOTS[other], new, ROOTS[new], proof)
            if other != new:
                assert not proves_consistency(old, ROOTS[old], other, ROOTS[other], proof)


def test_from_size_0_nothing_is_proved() -> None:
    for new in (0, 1, 7):
        assert not proves_consistency(0, EMPTY_ROOT, new, ROOTS[new], [])
        with pytest.raises(ProofError):
            consistency_proof(0, new, node)


def test_the_same_size_needs_the_same_root_and_no_proof() -> None:
    for size in range(1, SMALL + 1):
        assert proves_consistency(size, ROOTS[size], size, ROOTS[size], [])
        assert not proves_consistency(size, ROOTS[size], size, bytes(32), [])
        assert not proves_consistency(size, bytes(31), size, bytes(31), [])
        assert not proves_consistency(size, ROOTS[size], size, ROOTS[size], [ROOTS[size]])


def test_roots_made_to_fit_a_proof_of_a_wrong_length_are_refused() -> None:
    """Too short: the same root twice. Too long: both roots hashed on, as the proof is."""
    for old, new in ((4, 8), (4, 5), (1, 2), (32, 40)):
        assert not proves_consistency(old, ROOTS[old], new, ROOTS[old], [])
    for old, new in STEPS:
        if old < new:
            roots = (node_hash(LEAVES[0], ROOTS[old]), node_hash(LEAVES[0], ROOTS[new]))
            proof = [*consistency_proof(old, new, node), LEAVES[0]]
            assert not proves_consistency(old, roots[0], new, roots[1], proof)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_hashes_have_32_bytes(size: int) -> None:
    with pytest.raises(ProofError, match="expected 32"):
        root_from_path(0, 2, LEAVES[0], [bytes(size)])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5), (6, 5)])
def test_indexes_outside_the_tree_are_refused(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        inclusion_path(index, size, node)
    with pytest.raises(ProofError):
        root_from_path(index, size, LEAVES[0], [])


def test_a_proof_backwards_is_refused() -> None:
    with pytest.raises(ProofError):
        consistency_proof(5, 4, node)
    assert not proves_consistency(5, ROOTS[5], 4, ROOTS[4], consistency_proof(4, 5, node))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_every_hash_of_a_path_has_32_bytes(length: int) -> None:
    """Two hashes in one place of 64 bytes would hash as one node does."""
    good, odd = bytes(32), bytes(length)
    assert len(root_from_path(1, 3, good, [good, good])) == 32
    for leaf, path in ((odd, [good, good]), (good, [odd, good]), (good, [good, odd])):
        with pytest.raises(ProofError, match=f"{length} bytes, expected 32"):
            root_from_path(1, 3, leaf, path)
    for path in ([], [good], [good] * 3):
        with pytest.raises(ProofError, match="hashes for index 1 of 3"):
            root_from_path(1, 3, good, path)
