"""The tree of RFC 6962, sections 2.1, 2.1.1 and 2.1.2, word for word: slow, and plainly right."""

import hashlib

from ledger.merkle import Frontier


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = largest_power_below(len(leaves))
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), tree_hash(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), tree_hash(leaves[:k])]


def naive_proof(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """PROOF(m, D[n]), that is SUBPROOF(m, D[n], true)."""
    if old == len(leaves):
        return [] if whole else [tree_hash(leaves)]
    k = largest_power_below(len(leaves))
    if old <= k:
        return [*naive_proof(old, leaves[:k], whole), tree_hash(leaves[k:])]
    return [*naive_proof(old - k, leaves[k:], False), tree_hash(leaves[:k])]


def largest_power_below(number: int) -> int:
    power = 1
    while power * 2 < number:
        power *= 2
    return power


def frontier_of(leaves: list[bytes], nodes: list[tuple[int, bytes]] | None = None) -> Frontier:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf, nodes)
    return frontier
