"""The independent reader of `tests/tilereader`, against logs that a writer in this file makes.

The writer follows the recursive definitions of RFC 9162 section 2.1 and shares nothing with the
reader but the words of the formats.
"""

import base64
import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from nacl.signing import SigningKey

from tests.tilereader import (
    EMPTY_ROOT,
    LogRefused,
    check_consistency,
    check_proof,
    leaf_hash,
    node_hash,
    parse_vkey,
    read_log,
    root_from_path,
    tile_layout,
    tile_path,
    tree_hash,
)

ORIGIN = "log.example/heartwood"
TIME = 1_795_000_000  # Unix seconds
ED = SigningKey(hashlib.sha256(b"the test log's seed").digest())
ML = MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(b"the test log's other seed").digest())
OTHER = SigningKey(hashlib.sha256(b"another log's seed").digest())

Files = dict[str, bytes]


def b64(data: bytes) -> str:
    """Encode standard base64."""
    return base64.b64encode(data).decode("ascii")


def key_id(name: str, material: bytes) -> bytes:
    """Make a key id; `material` is the type byte and the public key."""
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def make_vkey(name: str, material: bytes) -> str:
    """Write a verifier key; `material` is the type byte and the public key."""
    return f"{name}+{key_id(name, material).hex()}+{b64(material)}"


ED_MATERIAL = b"\x01" + ED.verify_key.encode()
ML_MATERIAL = b"\x06" + ML.public_key().public_bytes_raw()
OTHER_MATERIAL = b"\x01" + OTHER.verify_key.encode()
VKEYS = [make_vkey(ORIGIN, ED_MATERIAL), make_vkey(ORIGIN, ML_MATERIAL)]


# -- the writer ------------------------------------------------------------------------------


def sha(*parts: bytes) -> bytes:
    """Hash joined bytes."""
    return hashlib.sha256(b"".join(parts)).digest()


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    k = split(len(leaves))
    return sha(b"\x01", mth(leaves[:k]), mth(leaves[k:]))


def split(size: int) -> int:
    """Find the largest power of two strictly below `size`."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 9162 section 2.1.3.1."""
    if len(leaves) < 2:
        return []
    k = split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), mth(leaves[k:])]
    return [*path(index - k, leaves[k:]), mth(leaves[:k])]


def subproof(old: int, leaves: Sequence[bytes], known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1; `known` is its third argument."""
    if old == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*subproof(old, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(old - k, leaves[k:], False), mth(leaves[:k])]


def line(name: str, material: bytes, signature: bytes) -> str:
    """Write one signature line."""
    return f"— {name} {b64(key_id(name, material) + signature)}\n"


def ed_line(text: str) -> str:
    """Sign a note's text with the log's Ed25519 key."""
    return line(ORIGIN, ED_MATERIAL, ED.sign(text.encode()).signature)


def ml_line(
    size: int,
    root: bytes,
    *,
    origin: str = ORIGIN,
    cosigner: str = ORIGIN,
    time: int = TIME,
    stated: int | None = None,
    start: int = 0,
    label: bytes = b"subtree/v1\n\x00",
    context: bytes = b"",
) -> str:
    """Sign a tree head with the log's ML-DSA-44 key; `stated` is the time written in front."""
    message = (
        label
        + bytes([len(cosigner)])
        + cosigner.encode()
        + struct.pack(">Q", time)
        + bytes([len(origin)])
        + origin.encode()
        + struct.pack(">QQ", start, size)
        + root
    )
    stamp = struct.pack(">Q", time if stated is None else stated)
    return line(ORIGIN, ML_MATERIAL, stamp + ML.sign(message, context))


def make_checkpoint(size: int, root: bytes, text: str | None = None) -> bytes:
    """Write a checkpoint signed twice; `text` in place of the right one is signed as it is."""
    if text is None:
        text = f"{ORIGIN}\n{size}\n{b64(root)}\n"
    return f"{text}\n{ed_line(text)}{ml_line(size, root)}".encode()


def make_log(entries: Sequence[bytes]) -> Files:
    """Write a whole log: relative path to content."""
    leaves = [sha(b"\x00", entry) for entry in entries]
    files = {"checkpoint": make_checkpoint(len(leaves), mth(leaves))}
    bundled = [struct.pack(">H", len(entry)) + entry for entry in entries]
    put_tiles(files, "entries", bundled)
    level = 0
    while leaves:
        put_tiles(files, str(level), leaves)
        whole = len(leaves) // 256
        leaves = [mth(leaves[256 * i : 256 * i + 256]) for i in range(whole)]
        level += 1
    return files


def put_tiles(files: Files, level: str, elements: Sequence[bytes]) -> None:
    """Cut a level's elements into tiles; enough for a thousand thousand of them."""
    for n in range((len(elements) + 255) // 256):
        part = elements[256 * n : 256 * n + 256]
        name = f"{n:03d}" if n < 1000 else f"x{n // 1000:03d}/{n % 1000:03d}"
        files[f"tile/{level}/{name}" + (f".p/{len(part)}" if len(part) < 256 else "")] = b"".join(
            part
        )


def make_text(files: Files) -> str:
    """Return the text that a log's checkpoint signs."""
    return files["checkpoint"].decode().partition("\n\n")[0] + "\n"


def store(files: Files, directory: Path) -> Path:
    """Lay files down in a directory."""
    for name, data in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return directory


def make_entries(size: int) -> list[bytes]:
    """Make entries of various lengths, the first three of them unusual."""
    entries = [f"entry {number} ".encode() * (number % 5 + 1) for number in range(size)]
    entries[:3] = [b"", b"\x00\xff\n\n", b"x" * 65_535][:size]
    return entries


# -- what is accepted ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1000])
def test_reads_what_was_written(size: int, tmp_path: Path) -> None:
    """Every entry comes back, with both keys and with each alone."""
    entries = make_entries(size)
    store(make_log(entries), tmp_path)
    assert read_log(tmp_path, VKEYS) == entries
    assert read_log(tmp_path, VKEYS[:1]) == entries
    assert read_log(tmp_path, VKEYS[1:]) == entries


def test_layout_of_seventy_thousand(tmp_path: Path) -> None:
    """The example of the formats: three levels, 273 full tiles and one of 112, and so on."""
    entries = [b"%d" % number for number in range(70_000)]
    files = make_log(entries)
    widths: dict[int, list[int]] = {}
    for level, _, width in tile_layout(70_000):
        widths.setdefault(level, []).append(width)
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    named = {tile_path(level, index, width) for level, index, width in tile_layout(70_000)}
    assert named == {name for name in files if name.startswith(("tile/0", "tile/1", "tile/2"))}
    assert {"tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17"} <= named
    assert "tile/2/000.p/1" in named
    assert read_log(store(files, tmp_path), VKEYS) == entries


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "000"),
        (5, "005"),
        (999, "999"),
        (1000, "x001/000"),
        (1_234_067, "x001/x234/067"),
        (10**9, "x001/x000/x000/000"),
    ],
)
def test_tile_names(index: int, name: str) -> None:
    """Groups of three digits, all but the last with an x."""
    assert tile_path(0, index) == f"tile/0/{name}"
    assert tile_path("entries", index, 7) == f"tile/entries/{name}.p/7"


def test_ignores_what_it_does_not_know(tmp_path: Path) -> None:
    """Unknown signature lines, also with the log's name, and files beside the tiles."""
    files = make_log(make_entries(3))
    others = b"".join(
        line(name, OTHER_MATERIAL, OTHER.sign(b"something else").signature).encode()
        for name in [ORIGIN, *(f"witness{number}.example" for number in range(20))]
    )
    files["checkpoint"] += others
    files["checkpoint"] += ed_line(make_text(files)).encode()  # a known line may stand twice
    files["manifest"] = files["releases/tile/0/000"] = b"not the reader's business"
    assert len(read_log(store(files, tmp_path), VKEYS)) == 3


# -- known answers ---------------------------------------------------------------------------

KNOWN_ENTRIES = (
    b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
)
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
KNOWN_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
KNOWN_SEED = base64.b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")[1:]


@pytest.mark.parametrize("size", range(16))
def test_known_roots(size: int) -> None:
    """The published roots at sizes 0 to 15."""
    leaves = [leaf_hash(entry) for entry in KNOWN_ENTRIES[:size]]
    assert b64(tree_hash(leaves)) == KNOWN_ROOTS[size]


def test_known_hashes() -> None:
    """One leaf, one node, the empty tree."""
    assert leaf_hash(b"L123456").hex() == (
        "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    )
    assert node_hash(b"N123", b"N456").hex() == (
        "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )
    assert b64(EMPTY_ROOT) == KNOWN_ROOTS[0]


def test_known_key() -> None:
    """The published log key: its id, and that the private half belongs to it."""
    key = parse_vkey(KNOWN_VKEY)
    assert (key.name, key.key_id.hex(), key.type) == ("example.com/log/testdata", "33d7b496", 1)
    assert SigningKey(KNOWN_SEED).verify_key.encode() == key.public_key


# -- refusals: the log -----------------------------------------------------------------------

LOG = make_log(make_entries(257))
LEAVES = [sha(b"\x00", entry) for entry in make_entries(257)]
ROOT = mth(LEAVES)
TEXT = f"{ORIGIN}\n257\n{b64(ROOT)}\n"
ED_LINE, ML_LINE = ed_line(TEXT), ml_line(257, ROOT)


@pytest.mark.parametrize("name", sorted(LOG))
@pytest.mark.parametrize("position", [0, 0.4, 1])
def test_refuses_an_altered_byte(name: str, position: float, tmp_path: Path) -> None:
    """The first, a middle and the last byte of each file."""
    data = bytearray(LOG[name])
    data[int(position * (len(data) - 1))] ^= 1
    store({**LOG, name: bytes(data)}, tmp_path)
    with pytest.raises(LogRefused):
        read_log(tmp_path, VKEYS)


@pytest.mark.parametrize("name", sorted(LOG))
@pytest.mark.parametrize("change", ["missing", "cut", "longer", "empty"])
def test_refuses_another_length(name: str, change: str, tmp_path: Path) -> None:
    """No file, one byte less, one more, none; the message names the file."""
    files = dict(LOG)
    data = files.pop(name)
    if change != "missing":
        files[name] = {"cut": data[:-1], "longer": data + b"\x00", "empty": b""}[change]
    store(files, tmp_path)
    with pytest.raises(LogRefused) as caught:
        read_log(tmp_path, VKEYS)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    "name",
    [
        "tile/0/001",
        "tile/0/001.p/2",
        "tile/0/000.p/255",
        "tile/0/1.p/1",
        "tile/0/x000/000",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/00/000",
        "tile/entries/001",
        "tile/entries/000.p/1",
        "tile/entries/002.p/1",
        "tile/README",
    ],
)
def test_refuses_a_surplus_file(name: str, tmp_path: Path) -> None:
    """Other widths, other indexes, other levels, other spellings."""
    store({**LOG, name: LOG["tile/0/001.p/1"]}, tmp_path)
    with pytest.raises(LogRefused, match="has no place for") as caught:
        read_log(tmp_path, VKEYS)
    assert str(caught.value).startswith(f"{name}:")


@pytest.mark.parametrize("level", ["0", "1", "entries"])
@pytest.mark.parametrize("width", ["0", "2", "01", "+1"])
def test_refuses_a_wrong_width(level: str, width: str, tmp_path: Path) -> None:
    """The right content under another width isn't the tile of this size."""
    files = dict(LOG)
    name = "tile/1/000.p/1" if level == "1" else f"tile/{level}/001.p/1"
    files[f"{name[:-1]}{width}"] = files.pop(name)
    store(files, tmp_path)
    with pytest.raises(LogRefused, match="no file to read"):
        read_log(tmp_path, VKEYS)


def test_names_the_entry(tmp_path: Path) -> None:
    """A wrong hash and a wrong length are reported with the number of their entry."""
    tile = bytearray(LOG["tile/0/000"])
    tile[7 * 32] ^= 1
    with pytest.raises(LogRefused, match=r"tile/0/000, hash 7 \(from entry 7\): got"):
        read_log(store({**LOG, "tile/0/000": bytes(tile)}, tmp_path / "a"), VKEYS)
    files = {**LOG, "tile/entries/001.p/1": b"\xff" + LOG["tile/entries/001.p/1"][1:]}
    with pytest.raises(LogRefused, match=r"tile/entries/001.p/1, entry 256: got"):
        read_log(store(files, tmp_path / "b"), VKEYS)


def test_refuses_a_linked_folder(tmp_path: Path) -> None:
    """A link inside `tile/` is a surplus file: what is behind it isn't looked at."""
    store(LOG, tmp_path / "log")
    (tmp_path / "log/tile/2").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(LogRefused, match="tile/2"):
        read_log(tmp_path / "log", VKEYS)


# -- refusals: the checkpoint ----------------------------------------------------------------


def signed(text: str) -> bytes:
    """Sign a text with Ed25519 as it is, and the right tree head with ML-DSA-44."""
    return make_checkpoint(257, ROOT, text)


def resized(size: int) -> bytes:
    """Sign properly another size with the same root."""
    return make_checkpoint(size, ROOT)


SAME = f"{TEXT}\n{ED_LINE}{ML_LINE}".encode()
LONG = f"{257:01000d}"
OTHER_TEXT = TEXT.replace(ORIGIN, "log.example/other")
OTHER_ML_LINE = ml_line(257, ROOT, origin="log.example/other")

BAD_CHECKPOINTS: dict[str, tuple[bytes, str]] = {
    "extension line": (signed(f"{TEXT}more\n"), "got 4 lines of text"),
    "empty extension line": (signed(f"{TEXT}\n"), "got 4 lines of text"),
    "two lines": (signed(f"{ORIGIN}\n257\n"), "got 2 lines of text"),
    "leading zero": (signed(TEXT.replace("\n257", "\n0257")), "decimal"),
    "plus sign": (signed(TEXT.replace("\n257", "\n+257")), "decimal"),
    "minus sign": (signed(TEXT.replace("\n257", "\n-257")), "decimal"),
    "underscore": (signed(TEXT.replace("\n257", "\n2_57")), "decimal"),
    "space": (signed(TEXT.replace("\n257", "\n257 ")), "decimal"),
    "other digits": (signed(TEXT.replace("\n257", "\n２57")), "decimal"),
    "hexadecimal": (signed(TEXT.replace("\n257", "\n0x101")), "decimal"),
    "no size": (signed(TEXT.replace("\n257", "\n")), "decimal"),
    "thousand digits": (signed(TEXT.replace("257", LONG)), "decimal"),
    "size 2^64": (signed(TEXT.replace("257", str(2**64))), "below 2"),
    "smaller size": (resized(256), "by the entries"),
    "larger size": (resized(258), r"tile/entries/001.p/2"),
    "huge size": (resized(2**63), r"tile/entries/001: got no file"),
    "size 0": (resized(0), "line 3: got root"),
    "size 0, empty root": (make_checkpoint(0, EMPTY_ROOT), "has no place for"),
    "another root": (make_checkpoint(257, LEAVES[0]), "by the entries"),
    "root of 31 bytes": (signed(TEXT.replace(b64(ROOT), b64(ROOT[:31]))), "31 bytes"),
    "root of 33 bytes": (signed(TEXT.replace(b64(ROOT), b64(ROOT + b"x"))), "33 bytes"),
    "root unpadded": (signed(TEXT.replace("=\n", "\n")), "base64"),
    "root with a space": (signed(TEXT.replace("=\n", "= \n")), "base64"),
    "root in url alphabet": (signed(TEXT.replace(b64(ROOT), "_" + b64(ROOT)[1:])), "base64"),
    "carriage returns": (signed(TEXT.replace("\n", "\r\n")), "control character"),
    "tab": (signed(TEXT.replace("257", "\t257")), "control character"),
    "zero byte": (SAME + b"\x00", "control character"),
    "not utf-8": (SAME.replace(ORIGIN[:3].encode(), b"lo\xff", 1), "UTF-8"),
    "another origin": (
        f"{OTHER_TEXT}\n{ed_line(OTHER_TEXT)}{OTHER_ML_LINE}".encode(),
        "got origin 'log.example/other'",
    ),
    "no origin": (signed(TEXT.replace(ORIGIN, "")), "1 to 255 bytes"),
    "long origin": (signed(TEXT.replace(ORIGIN, "o" * 256)), "1 to 255 bytes"),
    "no last newline": (SAME[:-1], "ended signature lines"),
    "empty line at the end": (SAME + b"\n", "ended signature lines"),
    "no empty line": (SAME.replace(b"\n\n", b"\n"), "an empty line"),
    "no signature": (f"{TEXT}\n".encode(), "signature lines"),
    "garbage after the lines": (SAME + b"garbage\n", "expected '— <name> <base64>'"),
    "101 lines": (SAME + ED_LINE.encode() * 99, "got 101 signatures"),
    "Ed25519 dropped": (f"{TEXT}\n{ML_LINE}".encode(), "got no signature of"),
    "ML-DSA-44 dropped": (f"{TEXT}\n{ED_LINE}".encode(), "got no signature of"),
    "hyphen": (SAME.replace("— ".encode(), b"- ", 1), "line 1: got"),
    "two spaces": (SAME.replace("— ".encode(), "—  ".encode(), 1), "line 1: got"),
    "space at the end": (SAME[:-1] + b" \n", "line 2: got"),
    "plus in a name": (
        SAME + line("a+b", OTHER_MATERIAL, b"x" * 64).encode(),
        "without spaces",
    ),
    "space in a name": (
        SAME + line("a\u00a0b", OTHER_MATERIAL, b"x" * 64).encode(),
        "without spaces",
    ),
    "unknown line of 4 bytes": (
        SAME + line("other", OTHER_MATERIAL, b"").encode(),
        "key id and signature",
    ),
    "unknown line unpadded": (
        SAME + line("other", OTHER_MATERIAL, b"x" * 64).replace("=", "").encode(),
        "base64",
    ),
    "bits that base64 drops": (
        SAME + line("other", OTHER_MATERIAL, b"\x00" * 64).replace("A=\n", "B=\n").encode(),
        "canonical",
    ),
    "short Ed25519": (
        f"{TEXT}\n{line(ORIGIN, ED_MATERIAL, b'x' * 63)}{ML_LINE}".encode(),
        "63 bytes, expected 64",
    ),
    "ML-DSA-44 without time": (
        f"{TEXT}\n{ED_LINE}{line(ORIGIN, ML_MATERIAL, b'x' * 2420)}".encode(),
        "2420 bytes, expected 2428",
    ),
    "a second line that fails": (
        SAME + line(ORIGIN, ED_MATERIAL, OTHER.sign(TEXT.encode()).signature).encode(),
        "that fails",
    ),
    "another key under the name": (
        (
            f"{TEXT}\n{line(ORIGIN, OTHER_MATERIAL, OTHER.sign(TEXT.encode()).signature)}{ML_LINE}"
        ).encode(),
        "got no signature of",
    ),
}


@pytest.mark.parametrize("case", BAD_CHECKPOINTS)
def test_refuses_a_checkpoint(case: str, tmp_path: Path) -> None:
    """Each rule of notes, checkpoints and their lines, broken once."""
    data, expected = BAD_CHECKPOINTS[case]
    store({**LOG, "checkpoint": data}, tmp_path)
    with pytest.raises(LogRefused, match=expected):
        read_log(tmp_path, VKEYS)


BAD_COSIGNATURES: dict[str, str] = {
    "another cosigner": ml_line(257, ROOT, cosigner="witness.example"),
    "another origin": ml_line(257, ROOT, origin="log.example/other"),
    "another size": ml_line(256, ROOT),
    "another root": ml_line(257, LEAVES[0]),
    "a start": ml_line(257, ROOT, start=1),
    "another time in front": ml_line(257, ROOT, stated=TIME + 1),
    "a time of 2^63": ml_line(257, ROOT, time=2**63),
    "another label": ml_line(257, ROOT, label=b"subtree/v2\n\x00"),
    "a context": ml_line(257, ROOT, context=b"heartwood"),
}


@pytest.mark.parametrize("case", BAD_COSIGNATURES)
def test_refuses_a_cosignature(case: str, tmp_path: Path) -> None:
    """Each field of what ML-DSA-44 signs, set otherwise and validly signed."""
    data = f"{TEXT}\n{ED_LINE}{BAD_COSIGNATURES[case]}".encode()
    store({**LOG, "checkpoint": data}, tmp_path)
    with pytest.raises(LogRefused, match=r"that fails|expected < 2"):
        read_log(tmp_path, VKEYS)


SHAPE, MATERIAL = "expected <name>", "expected 0x01 and 32 bytes"
BAD_VKEYS: dict[str, tuple[list[str], str]] = {
    "none": ([], "got none"),
    "one twice": ([VKEYS[0], VKEYS[0]], "twice"),
    "another key": ([make_vkey(ORIGIN, OTHER_MATERIAL)], "no signature of"),
    "another key besides": ([*VKEYS, make_vkey(ORIGIN, OTHER_MATERIAL)], "no signature of"),
    "another name": ([make_vkey("log.example/other", ED_MATERIAL)], "got origin"),
    "a long key id": ([VKEYS[0].replace("+", "+0", 1)], SHAPE),
    "a made-up key id": ([f"{ORIGIN}+00000000+{b64(ED_MATERIAL)}"], "got key id 00000000"),
    "a key id in capitals": ([f"{ORIGIN}+ABCDEF01+{b64(ED_MATERIAL)}"], SHAPE),
    "a cosigner's type": ([make_vkey(ORIGIN, b"\x04" + ED_MATERIAL[1:])], MATERIAL),
    "a key too short": ([make_vkey(ORIGIN, ED_MATERIAL[:-1])], MATERIAL),
    "no key": ([make_vkey(ORIGIN, b"")], MATERIAL),
    "the other type's length": ([make_vkey(ORIGIN, b"\x06" + ED_MATERIAL[1:])], MATERIAL),
    "a newline": ([VKEYS[0] + "\n"], "base64"),
    "cut": ([VKEYS[0][:-1]], "base64"),
    "no name": ([make_vkey("", ED_MATERIAL)], "without spaces"),
    "a space in the name": ([make_vkey("log example", ED_MATERIAL)], "without spaces"),
    "nothing": ([""], SHAPE),
}


@pytest.mark.parametrize("case", BAD_VKEYS)
def test_refuses_verifier_keys(case: str, tmp_path: Path) -> None:
    """Keys that are malformed, missing, or not those that signed."""
    vkeys, expected = BAD_VKEYS[case]
    store(LOG, tmp_path)
    with pytest.raises(LogRefused, match=expected):
        read_log(tmp_path, vkeys)


# -- inclusion, consistency ------------------------------------------------------------------

MANY = [sha(b"\x00", b"%d" % number) for number in range(34)]


def spoiled(proof: Sequence[bytes]) -> list[list[bytes]]:
    """List a proof's near misses: each hash altered or left out, one added, one too short."""
    wrong = [[*proof, MANY[0]], [MANY[0], *proof]]
    for number, value in enumerate(proof):
        rest = list(proof[:number]), list(proof[number + 1 :])
        wrong.append([*rest[0], sha(value), *rest[1]])
        wrong.append([*rest[0], value[:31], *rest[1]])
        wrong.append([*rest[0], *rest[1]])
    return wrong


@pytest.mark.parametrize("size", range(1, 18))
def test_inclusion(size: int) -> None:
    """All leaves of small trees; the path's length is exact, every hash of it counts."""
    leaves, root = MANY[:size], mth(MANY[:size])
    for index in range(size):
        proof = path(index, leaves)
        assert root_from_path(leaves[index], index, size, proof) == root
        for wrong in spoiled(proof):
            assert leads_elsewhere(leaves[index], index, size, wrong, root)


def leads_elsewhere(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """Tell whether a path is refused or leads to another root."""
    try:
        return root_from_path(leaf, index, size, proof) != root
    except LogRefused:
        return True


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 5), (-1, 5), (0, -1)])
def test_refuses_an_index_outside(index: int, size: int) -> None:
    """An index at or above the size, below 0, or any in an empty tree."""
    with pytest.raises(LogRefused, match="got index"):
        root_from_path(MANY[0], index, size, [])


@pytest.mark.parametrize("new", range(1, 35))
def test_consistency(new: int) -> None:
    """All pairs of small trees, and that nothing near a proof passes."""
    new_root = mth(MANY[:new])
    for old in range(1, new + 1):
        proof, old_root = subproof(old, MANY[:new]), mth(MANY[:old])
        check_consistency(old, old_root, new, new_root, proof)
        for wrong in spoiled(proof) if new < 18 else []:
            with pytest.raises(LogRefused):
                check_consistency(old, old_root, new, new_root, wrong)
        for roots in [(sha(), new_root), (old_root, sha()), (old_root[:31], new_root)]:
            with pytest.raises(LogRefused):
                check_consistency(old, roots[0], new, roots[1], proof)


SIZES, EMPTY, EQUAL = "expected 0 <= old size", "root of size 0", "expected equal roots"


@pytest.mark.parametrize(
    ("old", "old_root", "new", "new_root", "proof", "expected"),
    [
        (0, EMPTY_ROOT, 1, MANY[0], [], "prove nothing"),
        (0, EMPTY_ROOT, 1, MANY[0], [MANY[0]], "prove nothing"),
        (0, MANY[0], 0, MANY[0], [], EMPTY),
        (0, MANY[0], 1, MANY[0], [], EMPTY),
        (0, EMPTY_ROOT, 0, EMPTY_ROOT, [MANY[0]], EQUAL),
        (1, MANY[0], 0, EMPTY_ROOT, [], SIZES),
        (2, mth(MANY[:2]), 1, MANY[0], [MANY[1]], SIZES),
        (-1, EMPTY_ROOT, 1, MANY[0], [], SIZES),
        (1, MANY[0], 1, MANY[1], [], EQUAL),
        (1, MANY[0], 2, mth(MANY[:2]), [], "prove nothing"),
        (1, MANY[0], 2, mth(MANY[:2]), [MANY[1] + b"x"], "got 33 bytes"),
        (1, MANY[0][:31], 2, mth(MANY[:2]), [MANY[0][31:] + MANY[1]], "got 31 bytes"),
    ],
)
def test_refuses_a_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes], expected: str
) -> None:
    """Nothing is proved from size 0 on, to a smaller size, or between equal sizes by a proof."""
    with pytest.raises(LogRefused, match=expected):
        check_consistency(old, old_root, new, new_root, proof)


def test_refuses_hashes_of_another_length() -> None:
    """A byte moved from one hash to its neighbour leaves the node's hash as it is."""
    short, long = MANY[0][:31], MANY[0][31:] + MANY[1]
    assert node_hash(short, long) == mth(MANY[:2])
    with pytest.raises(LogRefused, match="leaf: got 31 bytes"):
        root_from_path(short, 0, 2, [long])
    with pytest.raises(LogRefused, match="hash 0: got 33 bytes"):
        root_from_path(MANY[0], 0, 2, [long])


def test_equal_sizes_need_no_proof() -> None:
    """The empty tree and a tree of one are consistent with themselves."""
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    check_consistency(1, MANY[0], 1, MANY[0], [])


def test_refuses_another_depth() -> None:
    """Hashes that lead to the right roots don't fit a tree of twice or half the size."""
    for size in (2, 4, 8, 16, 32):
        leaves, root = MANY[:size], mth(MANY[:size])
        hashes, proof = path(0, leaves), subproof(1, leaves)
        for claimed in (size // 2, size * 2):
            with pytest.raises(LogRefused, match="hashes, expected"):
                root_from_path(leaves[0], 0, claimed, hashes)
            if claimed > 1:
                with pytest.raises(LogRefused, match="hashes, expected"):
                    check_consistency(1, leaves[0], claimed, root, proof)


# -- receipts --------------------------------------------------------------------------------


def receipt(index: int, entries: Sequence[bytes], checkpoint: bytes | None = None) -> bytes:
    """Write the receipt of one entry."""
    leaves = [sha(b"\x00", entry) for entry in entries]
    hashes = "".join(f"{b64(value)}\n" for value in path(index, leaves))
    head = f"c2sp.org/tlog-proof@v1\nextra {b64(entries[index])}\nindex {index}\n{hashes}\n"
    return head.encode() + (checkpoint or make_checkpoint(len(leaves), mth(leaves)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 257])
def test_reads_receipts(size: int) -> None:
    """First, middle and last entry; the receipt of a tree of one has no path."""
    entries = make_entries(size)
    for index in {0, size // 2, size - 1}:
        assert check_proof(receipt(index, entries), VKEYS) == (index, entries[index])


GOOD = receipt(5, make_entries(257), SAME)
GOOD_LINES = GOOD.split(b"\n")


def without(number: int) -> bytes:
    """Leave out one line of the good receipt, counted from 0."""
    return b"\n".join(GOOD_LINES[:number] + GOOD_LINES[number + 1 :])


def replaced(old: bytes, new: bytes) -> bytes:
    """Replace the first occurrence in the good receipt."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


PATH_LINE = GOOD_LINES[3]
ELSEWHERE = "got a path to"
BAD_RECEIPTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "expected header"),
    "nothing but the header": (GOOD_LINES[0] + b"\n\n" + SAME, "expected header"),
    "another version": (replaced(b"proof@v1", b"proof@v2"), "line 1"),
    "space after the header": (replaced(b"@v1\n", b"@v1 \n"), "line 1"),
    "no header": (without(0), "line 1"),
    "no extra": (without(1), "line 2: got 'index 5'"),
    "no index": (without(2), "line 3: got"),
    "a hash left out": (without(3), "inclusion proof: got 8 hashes, expected more|path to"),
    "a hash twice": (replaced(PATH_LINE, PATH_LINE + b"\n" + PATH_LINE), "expected 9"),
    "no empty line": (replaced(b"\n\nlog", b"\nlog"), r"\(path\): got"),
    "two empty lines": (replaced(b"\n\nlog", b"\n\n\nlog"), "got 4 lines of text"),
    "another entry": (replaced(b"extra ZW", b"extra ZX"), ELSEWHERE),
    "no entry": (replaced(GOOD_LINES[1], b"extra "), ELSEWHERE),
    "entry not base64": (replaced(b"extra ZW", b"extra ?W"), r"\(extra\): got"),
    "entry too long": (
        replaced(GOOD_LINES[1], b"extra " + base64.b64encode(b"x" * 65_536)),
        "65536 bytes",
    ),
    "another index": (replaced(b"index 5", b"index 4"), ELSEWHERE),
    "index at the size": (replaced(b"index 5", b"index 257"), "got index 257"),
    "index with a zero": (replaced(b"index 5", b"index 05"), "decimal"),
    "index with a plus": (replaced(b"index 5", b"index +5"), "decimal"),
    "index with a space": (replaced(b"index 5", b"index  5"), "decimal"),
    "index twice": (replaced(b"index 5\n", b"index 5\nindex 5\n"), r"line 4 \(path\)"),
    "two hashes swapped": (
        b"\n".join([*GOOD_LINES[:3], GOOD_LINES[4], PATH_LINE, *GOOD_LINES[5:]]),
        ELSEWHERE,
    ),
    "a hash of 31 bytes": (replaced(PATH_LINE, base64.b64encode(b"x" * 31)), "got 31 bytes"),
    "65 hashes": (replaced(PATH_LINE, b"\n".join([PATH_LINE] * 57)), "got 65 hashes, expected 9"),
    "carriage returns": (GOOD.replace(b"\n", b"\r\n"), "expected header"),
    "not utf-8": (replaced(b"index 5", b"index \xff"), "expected UTF-8"),
    "garbage behind": (GOOD + b"garbage", "ended signature lines"),
    "a line behind": (GOOD + b"\n", "ended signature lines"),
    "no checkpoint": (GOOD[: GOOD.index(b"\n\n") + 2], "an empty line"),
    "another tree": (receipt(5, make_entries(257), make_checkpoint(257, MANY[0])), ELSEWHERE),
    "a signature dropped": (
        receipt(5, make_entries(257), f"{TEXT}\n{ED_LINE}".encode()),
        "no signature of",
    ),
    "an empty tree": (receipt(0, [b""], make_checkpoint(0, EMPTY_ROOT)), "got index 0"),
}


def test_the_good_receipt() -> None:
    """What the table of refusals starts from is accepted."""
    assert check_proof(GOOD, VKEYS) == (5, make_entries(6)[5])


@pytest.mark.parametrize("case", BAD_RECEIPTS)
def test_refuses_a_receipt(case: str) -> None:
    """Each line of a receipt, broken."""
    data, expected = BAD_RECEIPTS[case]
    with pytest.raises(LogRefused, match=expected):
        check_proof(data, VKEYS)


@pytest.mark.parametrize("position", range(0, len(GOOD), 61))
def test_refuses_any_altered_byte_of_a_receipt(position: int) -> None:
    """No byte of a receipt of the log's own signatures is free."""
    data = bytearray(GOOD)
    data[position] ^= 1
    with pytest.raises(LogRefused):
        check_proof(bytes(data), VKEYS)
