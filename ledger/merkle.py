"""The Merkle tree of RFC 6962 and RFC 9162 with SHA-256: hashes, roots, inclusion and consistency proofs."""

import hashlib
from collections.abc import Callable, Sequence

from ledger.errors import ProofError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""`node(level, index)`: the root of the perfect subtree over 2^level leaves from index·2^level."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, node: Node | None = None) -> None:
        """An empty tree, or that of `size` leaves whose perfect subtrees `node` gives."""
        self.size = size
        self.stack: list[bytes] = []
        if node is not None:
            self.stack = [node(level, index) for level, index in perfect_ranges(0, size)]

    def copy(self) -> "Frontier":
        """The same edge, that can grow for itself."""
        made = Frontier(self.size)
        made.stack = list(self.stack)
        return made

    def append(self, leaf: bytes, nodes: list[tuple[int, bytes]] | None = None) -> None:
        """Add a leaf hash; (level, hash) of every node this completes go into `nodes`, leaf first."""
        nodes = [] if nodes is None else nodes
        nodes.append((0, leaf))
        size, level, node = self.size, 0, leaf
        while size & 1:
            node = hashlib.sha256(b"\x01" + self.stack.pop() + node).digest()
            size >>= 1
            level += 1
            nodes.append((level, node))
        self.stack.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.stack:
            return EMPTY_ROOT
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = node_hash(left, root)
        return root


def perfect_ranges(start: int, end: int) -> list[tuple[int, int]]:
    """The perfect subtrees (level, index) that tile the leaves `start` to `end`, left to right."""
    out = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        out.append((level, start >> level))
        start += 1 << level
    return out


def range_hash(start: int, end: int, node: Node) -> bytes:
    """The hash of the subtree over leaves `start` to `end`, as RFC 6962 splits it."""
    hashes = [node(level, index) for level, index in perfect_ranges(start, end)]
    out = hashes.pop()
    while hashes:
        out = node_hash(hashes.pop(), out)
    return out


def root_of(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162, 2.1.3.1: the leaf's sibling first."""
    return path_through(index, size, lambda start, end: range_hash(start, end, node))


def path_through(index: int, size: int, subtree: Node) -> list[bytes]:
    """The same, where `subtree(start, end)` gives the hash over leaves `start` to `end`."""
    if not 0 <= index < size:
        raise ProofError(f"got index {index}, expected one below the size {size}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 9162, 2.1.4.1; none from 0, and none from a size to itself."""
    if not 0 < old <= new:
        raise ProofError(f"got a proof from size {old} to {new}, expected 0 < old ≤ new")
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(range_hash(middle, end, node))
            end = middle
        else:
            proof.append(range_hash(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(range_hash(start, end, node))
    return proof[::-1]


def path_lengths(index: int, size: int) -> int:
    """How many hashes the inclusion path of `index` in a tree of `size` has, exactly."""
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def root_from_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2); raises ProofError on its shape."""
    if not 0 <= index < size or len(path) != path_lengths(index, size):
        raise ProofError(f"got {len(path)} hashes for index {index} of {size}")
    if len(leaf) != HASH_BYTES:
        raise ProofError(f"got a leaf hash of {len(leaf)} bytes, expected {HASH_BYTES}")
    inner = (index ^ (size - 1)).bit_length()
    node = leaf
    for level, other in enumerate(path):
        if len(other) != HASH_BYTES:
            raise ProofError(f"got a hash of {len(other)} bytes, expected {HASH_BYTES}")
        right = level < inner and not index >> level & 1
        node = node_hash(node, other) if right else node_hash(other, node)
    return node


def check_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree of `new` leaves extends that of `old` (RFC 9162, 2.1.4.2); raises ProofError."""
    if len(new_root) != HASH_BYTES:
        raise ProofError(f"got a hash that has not {HASH_BYTES} bytes")
    if old == new and (proof or old_root != new_root):
        raise ProofError(f"got two different trees of size {old}, or a needless proof")
    if proved_roots(old, old_root, new, proof) != (old_root, new_root):
        raise ProofError(f"the tree of size {new} does not extend that of size {old}")


def proved_roots(
    old: int, old_root: bytes, new: int, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The roots of `old` and of `new` leaves that a consistency proof leads to; raises ProofError on its shape.

    If the second is the root of a tree, the first is that of its first `old` leaves, whatever `old_root` is. (Where
    `old` is a power of two the proof leaves it out, and `old_root` stands for it.)
    """
    if not 0 < old <= new:
        raise ProofError(f"got sizes {old} and {new}: nothing to prove, expected 0 < old ≤ new")
    if any(len(node) != HASH_BYTES for node in (*proof, old_root)):
        raise ProofError(f"got a hash that has not {HASH_BYTES} bytes")
    if old == new:
        return old_root, old_root
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    if not steps:
        raise ProofError("got an empty consistency proof")
    left, right = old - 1, new - 1
    while left & 1:
        left, right = left >> 1, right >> 1
    first = second = steps[0]
    for node in steps[1:]:
        if not right:
            raise ProofError("got a consistency proof that is too long")
        if left & 1 or left == right:
            first, second = node_hash(node, first), node_hash(node, second)
            while left and not left & 1:
                left, right = left >> 1, right >> 1
        else:
            second = node_hash(second, node)
        left, right = left >> 1, right >> 1
    if right:
        raise ProofError("got a consistency proof that is too short")
    return first, second


def perfect_root(leaves: Sequence[bytes]) -> bytes:
    """The root over 2^n leaf hashes."""
    row, sha256 = list(leaves), hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) & ~1, 2)]
    return row[0]


def tree_paths(leaves: Sequence[bytes]) -> tuple[bytes, list[tuple[bytes, ...]]]:
    """The root over `leaves` and every leaf's inclusion path, in one pass over the levels.

    Pairing from the left and carrying an odd last node up gives RFC 6962's tree.
    """
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        row = levels[-1]
        above = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        levels.append(above + row[len(row) & ~1 :])
    paths = []
    for index in range(len(leaves)):
        path = []
        for row in levels[:-1]:
            sibling = index ^ 1
            if sibling < len(row):
                path.append(row[sibling])
            index >>= 1
        paths.append(tuple(path))
    return levels[-1][0], paths


def _split(size: int) -> int:
    """The largest power of two strictly below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
