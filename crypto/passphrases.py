"""Passphrases as bytes: the same word is the same bytes, whichever keyboard it was typed on."""

import unicodedata


def passphrase_bytes(passphrase: str) -> bytes:
    """What new files are sealed under: the text in Unicode's form NFC, as UTF-8."""
    return _encoded(unicodedata.normalize("NFC", passphrase))


def passphrase_forms(passphrase: str) -> tuple[bytes, ...]:
    """What a file may have been sealed under, to be tried in this order: NFC, and for files of older programs the
    bytes as typed, here or on a machine that types letters decomposed. None twice."""
    decomposed = unicodedata.normalize("NFD", passphrase)
    return tuple(
        dict.fromkeys((passphrase_bytes(passphrase), _encoded(passphrase), _encoded(decomposed)))
    )


def _encoded(text: str) -> bytes:
    """UTF-8; bytes of the environment that were none are taken as they are."""
    return text.encode("utf-8", "surrogateescape")
