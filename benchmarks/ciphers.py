"""Cobblestone-256, by which records are sealed, against what came before it: text and images, 1 to 100 MB."""

import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.fernet import Fernet
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from benchmarks.page import Part, markdown, number
from benchmarks.plots import Line, Panel, chart
from crypto.blobs import Sealer, open_stream
from synthetic import patients

MB = 1_000_000
SIZES = (1, 10, 100)
"""MB of plaintext."""
PIECE = 1024 * 1024
ROUNDS = 3
"""At least, and LEAST_SECONDS; the best counts, as the machine is shared."""
LEAST_SECONDS = 0.2
RSA_BITS = 2_048
RSA_BLOCK = RSA_BITS // 8 - 2 * 32 - 2
"""Plaintext bytes in one block of RSA-OAEP with SHA-256."""
RSA_MEASURED = 190 * 200
"""Plaintext bytes that RSA alone is measured on; its time for more is computed from this."""
CONTEXT = b"bench"

Act = Callable[[bytes], Iterable[bytes]]
"""The pieces of the output; what gives them one by one need not hold them all."""


class Candidate(NamedTuple):
    """One way to encrypt, and what it doesn't give."""

    name: str
    encrypt: Act
    decrypt: Act
    lacks: str
    key: str
    block: str
    measured: bool = True
    """False: measured on RSA_MEASURED bytes, and computed for the sizes."""


def _cobblestone() -> Candidate:
    key = os.urandom(32)

    def seal(plain: bytes) -> Iterator[bytes]:
        sealer = Sealer(key, CONTEXT)
        yield from map(sealer.update, _pieces(plain))
        yield sealer.finalize()

    def unseal(sealed: bytes) -> Iterator[bytes]:
        return open_stream(key, CONTEXT, _pieces(sealed))

    return Candidate("Cobblestone-256 and SHA-256 (Heartwood)", seal, unseal, "nothing of these",
                     "256", "16 KiB chunks")  # fmt: skip


def _cobblestone_alone() -> Candidate:
    key = os.urandom(32)

    def seal(plain: bytes) -> Iterator[bytes]:
        encryptor = Cobblestone256Encryptor(key, CONTEXT)
        yield from map(encryptor.update, _pieces(plain))
        yield encryptor.finalize()

    def unseal(sealed: bytes) -> Iterator[bytes]:
        decryptor = Cobblestone256Decryptor(key, CONTEXT)
        yield from map(decryptor.update, _pieces(sealed))
        yield decryptor.finalize()

    return Candidate("Cobblestone-256", seal, unseal, "a hash that the log can name",
                     "256", "16 KiB chunks")  # fmt: skip


def _gcm() -> Candidate:
    aead, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    return Candidate(
        "AES-256-GCM, in one piece",
        lambda plain: [aead.encrypt(nonce, plain, CONTEXT)],
        lambda sealed: [aead.decrypt(nonce, sealed, CONTEXT)],
        "streaming, random access, key commitment; holds all of it in memory, 64 GiB at most",
        "256", "128 bits",
    )  # fmt: skip


def _cbc(name: str, algorithm: Any, lacks: str, key: str) -> Candidate:
    vector, bits = os.urandom(algorithm.block_size // 8), algorithm.block_size

    def encrypt(plain: bytes) -> Iterator[bytes]:
        pad, cipher = PKCS7(bits).padder(), Cipher(algorithm, modes.CBC(vector)).encryptor()
        for piece in _pieces(plain):
            yield cipher.update(pad.update(piece))
        yield cipher.update(pad.finalize()) + cipher.finalize()

    def decrypt(sealed: bytes) -> Iterator[bytes]:
        pad, cipher = PKCS7(bits).unpadder(), Cipher(algorithm, modes.CBC(vector)).decryptor()
        for piece in _pieces(sealed):
            yield pad.update(cipher.update(piece))
        yield pad.update(cipher.finalize()) + pad.finalize()

    return Candidate(name, encrypt, decrypt, lacks, key, f"{bits} bits")


def _fernet() -> Candidate:
    fernet = Fernet(Fernet.generate_key())
    return Candidate(
        "Fernet (AES-128-CBC, HMAC)",
        lambda plain: [fernet.encrypt(plain)],
        lambda sealed: [fernet.decrypt(sealed)],
        "streaming, random access; a third larger (base64); holds all of it in memory several times",
        "128", "128 bits",
    )  # fmt: skip


def _hybrid(private: rsa.RSAPrivateKey) -> Candidate:
    public, nonce = private.public_key(), bytes(12)

    def encrypt(plain: bytes) -> list[bytes]:
        key = os.urandom(32)
        return [public.encrypt(key, _oaep()), AESGCM(key).encrypt(nonce, plain, None)]

    def decrypt(sealed: bytes) -> list[bytes]:
        key = private.decrypt(sealed[: RSA_BITS // 8], _oaep())
        return [AESGCM(key).decrypt(nonce, sealed[RSA_BITS // 8 :], None)]

    return Candidate("RSA-2048 with AES-256-GCM", encrypt, decrypt,
                     "streaming, random access, safety from quantum computers",
                     "2,048, some 112 in strength", "128 bits")  # fmt: skip


def _rsa(private: rsa.RSAPrivateKey) -> Candidate:
    public, size = private.public_key(), RSA_BITS // 8

    def encrypt(plain: bytes) -> Iterator[bytes]:
        for at in range(0, len(plain), RSA_BLOCK):
            yield public.encrypt(plain[at : at + RSA_BLOCK], _oaep())

    def decrypt(sealed: bytes) -> Iterator[bytes]:
        for at in range(0, len(sealed), size):
            yield private.decrypt(sealed[at : at + size], _oaep())

    return Candidate("RSA-2048-OAEP, block by block", encrypt, decrypt,
                     "authentication; blocks can be left out or moved; a third larger; "
                     "safety from quantum computers", "2,048, some 112 in strength", "190 bytes",
                     measured=False)  # fmt: skip


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def candidates() -> list[Candidate]:
    """Everything that is compared, keys drawn afresh."""
    private = rsa.generate_private_key(65_537, RSA_BITS)
    unsafe = (
        "authentication: what was altered decrypts; truncation shows only by luck of the padding"
    )
    return [
        _cobblestone(),
        _cobblestone_alone(),
        _gcm(),
        _hybrid(private),
        _cbc("AES-256-CBC", algorithms.AES(os.urandom(32)), unsafe, "256"),
        _fernet(),
        _cbc("3DES-CBC", TripleDES(os.urandom(24)), f"{unsafe}; at most some 32 GiB under a key "
             "(64-bit blocks)", "168, 112 in strength"),
        _rsa(private),
    ]  # fmt: skip


def _pieces(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for at in range(0, len(data), PIECE):
        yield bytes(view[at : at + PIECE])


def text(size: int) -> bytes:
    """`size` bytes of FHIR JSON, over and over."""
    some = b"".join(one.bundle for one in patients(1, 5))
    return (some * (size // len(some) + 1))[:size]


def image(size: int) -> bytes:
    """`size` bytes as an image holds them: noise on a slope, compressed."""
    noise = os.urandom(PIECE)
    some = zlib.compress(bytes((at // 4096 + value) & 255 for at, value in enumerate(noise)), 1)
    return (some * (size // len(some) + 1))[:size]


def measure(quick: bool) -> list[dict[str, Any]]:
    """A row for each candidate, kind of data and size: MB/s of plaintext, best of ROUNDS."""
    sizes = SIZES[:1] if quick else SIZES
    rows = []
    for kind, make in (("text", text), ("image", image)):
        for size in sizes:
            plain = make(size * MB)
            rows += [_timed(one, plain) | {"data": kind, "MB": size} for one in candidates()]
    return rows


def _timed(one: Candidate, plain: bytes) -> dict[str, Any]:
    """Both directions; raises SystemExit if what comes back isn't what went in."""
    part = plain if one.measured else plain[:RSA_MEASURED]
    sealed = b"".join(one.encrypt(part))
    if b"".join(one.decrypt(sealed)) != part:
        raise SystemExit(f"{one.name}: got other bytes back")
    size = len(part) / MB
    encrypting, decrypting = _best(one.encrypt, part), _best(one.decrypt, sealed)
    return {"name": one.name, "encrypt": size / encrypting, "decrypt": size / decrypting}


def _best(act: Act, data: bytes) -> float:
    """Seconds of the best round; the output is taken piece by piece and dropped."""
    best, rounds, start = float("inf"), 0, time.perf_counter()
    while rounds < ROUNDS or time.perf_counter() - start < LEAST_SECONDS:
        rounds += 1
        began = time.perf_counter()
        for _piece in act(data):
            pass
        best = min(best, time.perf_counter() - began)
    return best


def part(rows: list[dict[str, Any]]) -> Part:
    """The tables and the plot."""
    found = {(row["name"], row["data"], row["MB"]): row for row in rows}
    sizes = sorted({row["MB"] for row in rows})
    head = ["MB/s of plaintext", *(f">{d}, {s} MB" for d in ("text", "image") for s in sizes)]
    blocks = []
    for act in ("encrypt", "decrypt"):
        lines = [
            [one.name + ("" if one.measured else " ¹"), *(
                number(found[one.name, data, size][act]) for data in ("text", "image") for size in sizes
            )]
            for one in candidates()
        ]  # fmt: skip
        blocks.append(f"**{act.title()}ion**\n\n{markdown(head, lines)}")
    note = (
        f"¹ Computed: measured on {RSA_MEASURED:,} bytes, {RSA_BLOCK} a block, each block taking as long "
        f"as the one before it. 100 MB would take {_hours(found, sizes[-1])}."
    )
    what = [[one.name, one.key, one.block, one.lacks] for one in candidates()]
    lacks = markdown(["cipher", "key, bits", "block", "what it lacks"], what)
    plots = {"ciphers.svg": plot(found, sizes)} if len(sizes) > 1 else {}
    return Part({"ciphers": "\n\n".join([*blocks, note, lacks])}, plots)


def _hours(found: dict[Any, Any], size: int) -> str:
    row = found["RSA-2048-OAEP, block by block", "text", size]
    minutes = [100 / row[act] / 60 for act in ("encrypt", "decrypt")]
    return f"{number(minutes[0])} minutes to encrypt and {number(minutes[1])} to decrypt"


def plot(found: dict[Any, Any], sizes: list[int]) -> str:
    """Throughput by size, of text; images differ by noise alone."""
    names = (
        "Heartwood",
        "Cobblestone-256",
        "AES-GCM",
        "RSA + AES-GCM",
        "AES-CBC",
        "Fernet",
        "3DES",
        "RSA alone",
    )
    panels = []
    for act in ("encrypt", "decrypt"):
        lines = [
            Line(short, [(s, found[one.name, "text", s][act]) for s in sizes], color, not one.measured)
            for color, (short, one) in enumerate(zip(names, candidates(), strict=True))
        ]  # fmt: skip
        panels.append(Panel(f"{act.title()}ing", "MB of plaintext", "MB/s", lines))
    return chart(
        "Ciphers by throughput",
        "MB/s of plaintext (text) on one thread; both axes logarithmic; dashed: computed from 38 KB",
        panels,
        columns=2,
    )
