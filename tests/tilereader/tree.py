"""The Merkle tree of RFC 9162 section 2.1 with SHA-256: hashes, and the two proofs."""

import hashlib
from collections.abc import Sequence

from .strict import LogRefused, require_hash

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without entries (RFC 9162 section 2.1.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry: SHA-256(0x00 ‖ entry), 32 bytes (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256(0x01 ‖ left ‖ right), 32 bytes (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Hash a whole tree from its leaf hashes, by the definition (RFC 9162 section 2.1.1).

    `leaves` are hashes of 32 bytes, not entries. Also the hash of a full tile's 256 elements.
    """
    if not leaves:
        return EMPTY_ROOT
    return _range_hash(leaves, 0, len(leaves))


def _range_hash(leaves: Sequence[bytes], start: int, end: int) -> bytes:
    size = end - start
    if size == 1:
        return leaves[start]
    middle = start + (1 << (size - 1).bit_length() - 1)  # largest power of two below size
    return node_hash(_range_hash(leaves, start, middle), _range_hash(leaves, middle, end))


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Compute the root that an inclusion path leads to (RFC 9162 section 2.1.3.2).

    `leaf` is the leaf hash of entry `index` (from 0) in a tree of `size` entries, `path` the
    hashes from the leaf's sibling to the root's child. The caller compares the result with a
    root that it has from a signed checkpoint.

    :raises LogRefused: if the index isn't in the tree, a hash hasn't 32 bytes, or the path has
        another length than that of this leaf in this tree.
    """
    if not 0 <= index < size:
        raise LogRefused(f"inclusion proof: got index {index}, expected 0 <= index < size {size}")
    require_hash(leaf, "inclusion proof, leaf")
    fn, sn, root = index, size - 1, leaf
    for number, sibling in enumerate(path):
        require_hash(sibling, f"inclusion proof, hash {number}")
        if sn == 0:
            raise LogRefused(f"inclusion proof: got {len(path)} hashes, expected {number}")
        if fn & 1 or fn == sn:
            root = node_hash(sibling, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise LogRefused(f"inclusion proof: got {len(path)} hashes, expected more")
    return root


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Verify that the old tree is a prefix of the new one (RFC 9162 section 2.1.4.2).

    Equal sizes need equal roots and no proof. From size 0 to a larger one nothing can be
    proved, hence nothing is accepted. Returns nothing; whoever gets past it has the proof.

    :raises LogRefused: if the sizes fall, a hash hasn't 32 bytes, an empty tree has another
        root than `EMPTY_ROOT`, or the proof has a wrong length or leads to another root.
    """
    place = f"consistency proof from {old_size} to {new_size}"
    for value in (old_root, new_root, *proof):
        require_hash(value, place)
    if not 0 <= old_size <= new_size:
        raise LogRefused(f"{place}: expected 0 <= old size <= new size")
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        raise LogRefused(f"{place}: got a root of size 0 that isn't SHA-256('')")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise LogRefused(f"{place}: expected equal roots and no proof for equal sizes")
        return
    if old_size == 0 or not proof:
        raise LogRefused(f"{place}: got {len(proof)} hashes, which prove nothing")
    roots = _roots_from_proof(old_size, old_root, new_size, proof, place)
    if roots != (old_root, new_root):
        raise LogRefused(
            f"{place}: got roots {roots[0].hex()} and {roots[1].hex()},"
            f" expected {old_root.hex()} and {new_root.hex()}"
        )


def _roots_from_proof(
    old_size: int, old_root: bytes, new_size: int, proof: Sequence[bytes], place: str
) -> tuple[bytes, bytes]:
    """Steps 2 to 7 of RFC 9162 section 2.1.4.2; `fn`, `sn`, `fr`, `sr` are named as there."""
    hashes = list(proof)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for value in hashes[1:]:
        if sn == 0:
            raise LogRefused(f"{place}: got {len(proof)} hashes, expected fewer")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(value, fr), node_hash(value, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, value)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise LogRefused(f"{place}: got {len(proof)} hashes, expected more")
    return fr, sr
