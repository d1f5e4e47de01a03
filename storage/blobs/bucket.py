"""Calls to one S3 bucket: time-outs, retries with back-off, and errors that say what was got and expected."""

from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from storage.blobs.place import S3Place
from storage.errors import BlobError, BlobsUnavailable

CONNECT_SECONDS = 5
READ_SECONDS = 60
"""How long a call may wait for the next byte; completing a large upload takes a server a while."""
ATTEMPTS = 5
"""How often a call is made at most; the pauses between grow, up to 20 s."""
CONNECTIONS = 64
"""Connections that are kept."""
SERVER_ERRORS = 500
"""The first status that tells of the server, not of the call."""

_CREDENTIALS = "boto3 finds credentials by its own chain: environment, ~/.aws, the machine's role"
_WORDS = {
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region than {region}: name it as ?region=…",
    "AuthorizationHeaderMalformed": "the bucket is in another region than {region}: name it as ?region=…",
    "IllegalLocationConstraintException": "the bucket is in another region than {region}: name it as ?region=…",
    "301": "the bucket is in another region than {region}: name it as ?region=…",
    "ExpiredToken": f"the credentials have expired; {_CREDENTIALS}",
    "ExpiredTokenException": f"the credentials have expired; {_CREDENTIALS}",
    "RequestExpired": f"the credentials have expired; {_CREDENTIALS}",
    "InvalidAccessKeyId": f"the access key is not known there; {_CREDENTIALS}",
    "InvalidToken": f"the session token is not valid there; {_CREDENTIALS}",
    "SignatureDoesNotMatch": f"the secret key is not the one of the access key; {_CREDENTIALS}",
    "RequestTimeTooSkewed": "this machine's clock and the server's differ by more than 15 minutes",
    "AccessDenied": "access is denied: check the policy of these credentials, and the bucket's owner",
    "403": "access is denied: check the policy of these credentials, and the bucket's owner",
}
"""What a code means that concerns the whole bucket, not one object."""


class Patience(NamedTuple):
    """How long a call waits for the next byte, in seconds, and how often it is made at most."""

    read_seconds: float
    attempts: int


HASTY = Patience(20, 2)
"""With one of several stores: the others need not wait for it."""


class Declined(BlobError):
    """An answer that concerns the one call. `code`: S3's word for it, or the status."""

    def __init__(self, code: str, message: str, headers: dict[str, str]) -> None:
        """`headers`: of the answer."""
        super().__init__(message)
        self.code, self.headers = code, headers

    @property
    def absent(self) -> bool:
        """Whether the object isn't there."""
        return self.code in ("NoSuchKey", "NoSuchVersion", "404", "NotFound")

    @property
    def exists(self) -> bool:
        """Whether something is there where nothing was to be."""
        return self.code in ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class Bucket:
    """One bucket. Any number of threads."""

    def __init__(self, place: S3Place, patience: Patience | None = None) -> None:
        """Asks nothing of the server yet."""
        usual = Patience(READ_SECONDS, ATTEMPTS)
        patience = patience or usual
        session = boto3.session.Session()
        self._place, self._region = place, place.region or session.region_name or "us-east-1"
        self._common = {"Bucket": place.bucket}
        if place.owner:
            self._common["ExpectedBucketOwner"] = place.owner
        self._client = self._made(session, place.endpoint, patience)
        # A server puts a large object together for as long as it takes, without a byte; who writes to several stores
        # waits no longer for one than for the others, whatever the call does.
        hasty = patience != usual
        self._patient = self._made(session, place.endpoint, usual) if hasty else self._client
        # Signing is done here: of the other name, by which readers elsewhere know the server, nothing is asked.
        self._public = (
            self._made(session, place.public_endpoint, patience)
            if place.public_endpoint
            else self._client
        )

    def _made(self, session: boto3.session.Session, endpoint: str, patience: Patience) -> Any:
        """boto3's client of an endpoint, "" for AWS."""
        client = session.client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=self._region,
            config=Config(
                signature_version="s3v4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=patience.read_seconds,
                retries={"total_max_attempts": patience.attempts, "mode": "standard"},
                max_pool_connections=CONNECTIONS,
                tcp_keepalive=True,
                # SHA-256 is sent by us with every object; some servers fail over boto3's own CRC of ranges.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={
                    "addressing_style": "path" if endpoint else "auto",
                    # The signature covers that SHA-256 of the body: it need not be hashed once more for it.
                    "payload_signing_enabled": False,
                },
            ),
        )
        if endpoint:
            client.meta.events.register_last("before-parameter-build.s3", _stay)
        return client

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """What the server answers to one operation.

        Raises Declined for what concerns this call alone, and BlobsUnavailable where the bucket can't be used now:
        then it isn't known whether it was carried out.
        """
        try:
            client = self._patient if operation == "complete_multipart_upload" else self._client
            answer: dict[str, Any] = getattr(client, operation)(**self._common, **arguments)
            return answer
        except ClientError as error:
            raise self._refused(operation, error) from error
        except BotoCoreError as error:
            raise self.unavailable(error) from error

    def presigned(self, key: str, seconds: int) -> str:
        """A URL that gives an object to whoever has it, for so many seconds; nothing is asked of the server."""
        what = {
            "Bucket": self._place.bucket,
            "Key": key,
            "ResponseCacheControl": "private, no-store",
        }
        try:
            url: str = self._public.generate_presigned_url("get_object", what, seconds)
            return url
        except BotoCoreError as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: BotoCoreError) -> BlobsUnavailable:
        """No whole answer came."""
        if isinstance(error, NoCredentialsError):
            return BlobsUnavailable(f"{self._place}: no credentials; {_CREDENTIALS}")
        return BlobsUnavailable(f"{self._place} does not answer: {error}")

    def _refused(self, operation: str, error: ClientError) -> Exception:
        told, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code, status = str(told.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
        said = f"{self._place} answered {operation} with {status} {code}"
        if operation == "head_object" and code.isdecimal() and status < SERVER_ERRORS:
            code = self._behind(code)
        if code in _WORDS:
            return BlobsUnavailable(f"{said}: {_WORDS[code].format(region=self._region)}")
        if status >= SERVER_ERRORS:
            tries = int(meta.get("RetryAttempts", 0)) + 1
            return BlobsUnavailable(f"{said}, at the last of {tries} tries")
        message = " ".join(str(told.get("Message", "")).split())[:200]
        return Declined(code, f"{said}: {message}", meta.get("HTTPHeaders", {}))

    def _behind(self, code: str) -> str:
        """What is behind an answer to HEAD, which has no body to say so: a listing has one."""
        try:
            self._client.list_objects_v2(MaxKeys=1, Prefix=self._place.prefix, **self._common)
        except ClientError as error:
            return str(error.response.get("Error", {}).get("Code", code))
        except BotoCoreError as error:
            raise self.unavailable(error) from error
        return "NoSuchKey" if code == "404" else code


def _stay(context: dict[str, Any], **_: object) -> None:
    """Let boto3 follow no redirect to AWS from a server of another; one that redirects everything would never end."""
    context.setdefault("s3_redirect", {})["redirected"] = True
