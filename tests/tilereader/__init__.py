"""A second, independent reader of Heartwood's logs, used by the tests as an oracle.

It is written from the public pages alone: C2SP tlog-tiles, tlog-checkpoint, signed-note,
tlog-cosignature and tlog-proof, RFC 9162 section 2.1 and the page of formats. It shares no code
with the product, so that a mistake would have to be made twice to go unseen.

It judges everything below the content of an entry: signatures, tree, tiles, bundles, receipts.
What an entry says, and the files of an export that aren't part of the log proper (`manifest`,
`policy`, `registry.json`), is not its business. Everything it refuses, it refuses with
`LogRefused`.
"""

from .checkpoint import Checkpoint, open_checkpoint
from .note import VerifierKey, parse_vkey
from .proof import check_proof
from .strict import LogRefused
from .tiles import read_log, tile_layout, tile_path
from .tree import (
    EMPTY_ROOT,
    check_consistency,
    leaf_hash,
    node_hash,
    root_from_path,
    tree_hash,
)

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "LogRefused",
    "VerifierKey",
    "check_consistency",
    "check_proof",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "parse_vkey",
    "read_log",
    "root_from_path",
    "tile_layout",
    "tile_path",
    "tree_hash",
]
