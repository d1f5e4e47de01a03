"""A record root wrapped by a key of AWS KMS, which opens it again at each start, for whoever may call it.

The ciphertext is bound to its encryption context (`app`, `subject`, `version`): it opens as nothing else. KMS logs each
call with that context. boto3 is imported where it is used: it takes half a second.
"""

from typing import Any

from durable.errors import StartRefused
from keeper.roots.place import KmsPlace

APP = "heartwood"
CONNECT_SECONDS = 5
READ_SECONDS = 10
ATTEMPTS = 3
"""How often a call is tried, each within these seconds, before the start is refused."""

_REMEDIES = {
    "AccessDeniedException": "this machine's role may not use the key: it needs kms:Encrypt and kms:Decrypt with this context",
    "DisabledException": "the key is disabled: enable it",
    "ExpiredTokenException": "the credentials have expired: renew them",
    "IncorrectKeyException": "another key wrapped it: name that one in the file",
    "InvalidCiphertextException": "the file was altered, or is of another key or another root",
    "InvalidClientTokenId": "AWS doesn't know the credentials: set the right ones",
    "InvalidKeyUsageException": "the key is not one for encrypting: name a symmetric one",
    "InvalidSignatureException": "the secret key is wrong, or this machine's clock is: set it right",
    "KMSInvalidStateException": "the key can't be used now (is it to be deleted?): cancel its deletion, enable it",
    "NotFoundException": "there is no such key there: check its id and its region",
    "UnrecognizedClientException": "AWS doesn't know the credentials: set the right ones",
}
"""By AWS's code of the error; https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html."""


def wrap_root(place: KmsPlace, root: bytes, subject: str, version: int) -> bytes:
    """The ciphertext of a root; raises StartRefused with the remedy."""
    given = {"KeyId": place.key, "Plaintext": root, "EncryptionContext": _context(subject, version)}
    return _call(place, "encrypt", given, "CiphertextBlob")


def unwrap_root(place: KmsPlace, wrapped: bytes, subject: str, version: int) -> bytes:
    """The root in a ciphertext; raises StartRefused with the remedy."""
    given = {
        "KeyId": place.key,
        "CiphertextBlob": wrapped,
        "EncryptionContext": _context(subject, version),
    }
    return _call(place, "decrypt", given, "Plaintext")


def _context(subject: str, version: int) -> dict[str, str]:
    return {"app": APP, "subject": subject, "version": str(version)}


def _call(place: KmsPlace, name: str, given: dict[str, Any], wanted: str) -> bytes:
    """The member `wanted` of the answer."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )
    try:
        client = boto3.client(
            "kms",
            region_name=place.region or None,
            endpoint_url=place.endpoint or None,
            config=config,
        )
        return bytes(getattr(client, name)(**given)[wanted])
    except ClientError as error:
        said = error.response.get("Error", {})
        code = str(said.get("Code", ""))
        remedy = _REMEDIES.get(code, "try again, or look it up in AWS's documentation")
        words = str(said.get("Message") or "no further words")[:300]
        raise StartRefused(
            f"the record root under {place} can't be had: {remedy} ({code}: {words})"
        ) from error
    except (BotoCoreError, ResponseParserError, KeyError) as error:
        words = "the answer holds none" if isinstance(error, KeyError) else str(error)
        raise StartRefused(
            f"the record root under {place} can't be had: {words}. Check the endpoint, the region and the credentials, and "
            "that this machine reaches them"
        ) from error
