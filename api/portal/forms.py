"""Forms as browsers send them: bounded, held in memory alone, and sent by a page of the session that they act in.

A form is `application/x-www-form-urlencoded`, or `multipart/form-data` (RFC 7578) where it brings a file. What a file holds is
clinical: nothing of it is ever laid on a disk in clear, which is why no library spools it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.requests import Request

from api.http import cookies
from api.http.bodies import BODY_SECONDS, UPLOAD_RATE, UPLOAD_SECONDS, bodies_of, pieces
from api.http.problems import Problem
from api.portal.visitors import Visitor
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.identity import IdentityRoot
from journeys.errors import RecordsError

FORM_BYTES = 64 * 1024
"""Longest form without a file."""
FILE_BYTES = 12 * 1024 * 1024
"""Longest form with a file; larger files are uploaded by a program (docs/http.md)."""
FIELDS = 64
"""Most fields of a form."""
CSRF_FIELD = "csrf"
KEPT_FIELD = "kept"
"""What was typed before a session ended, sealed for the account whose session it was: signing in gives it back to that one."""
SECRETS = frozenset({
    "born", "code", "csrf", "kept", "letter", "mailed", "new", "old", "old_code", "passkey", "password", "proof", "recovery", "second", "seed",
})  # fmt: skip
"""Fields that are never given back."""
_NAME = re.compile(rb'; name="([^"\r\n]{1,64})"').search
_FILE = re.compile(rb'; filename="([^"\r\n]{0,512})"').search
_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?').search


@dataclass(frozen=True)
class SentFile:
    """A file that a form brought; name and type are what the browser says, and trusted for nothing."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Form:
    """The fields of a form, the last of a name counting, and its file."""

    fields: tuple[tuple[str, str], ...] = ()
    file: SentFile | None = None

    def __getitem__(self, name: str) -> str:
        """A field without spaces around it; empty where there is none."""
        return dict(self.fields).get(name, "").strip()

    def days(self) -> int:
        """The field `days`, which a list of choices gives; raises RecordsError."""
        days = self["days"]
        if not (days.isascii() and days.isdigit() and 0 < len(days) < 5 and int(days)):
            raise RecordsError("choose how long")
        return int(days)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, as check boxes send them."""
        return tuple(value for one, value in self.fields if one == name and value)

    def secret(self, name: str) -> str:
        """A field as it was typed, spaces and all."""
        return dict(self.fields).get(name, "")

    @property
    def typed(self) -> tuple[tuple[str, str], ...]:
        """What may be given back to whoever typed it: everything but secrets and files."""
        return tuple((name, value) for name, value in self.fields if name not in SECRETS)


async def sent_form(visitor: Visitor, limit: int = FORM_BYTES) -> Form:
    """The form of a request, from a page of this site, and of this session if there is one; raises Problem.

    What was sent is kept for the case that the session has ended (`request.state.form`).
    """
    request = visitor.request
    cookies.check_site(request, changes=True)
    form = request.state.form = await _parsed(request, limit)
    if visitor.token:
        cookies.check_csrf(request, visitor.token, form[CSRF_FIELD], f"the field {CSRF_FIELD}")
    return form


async def _parsed(request: Request, limit: int) -> Form:
    kind = request.headers.get("content-type", "")
    multipart = kind.startswith("multipart/form-data")
    if not multipart and kind.partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Problem("malformed", f"got the content type {kind[:60]!r}, expected a form")
    shares, name = bodies_of(request).shares, request.scope["heartwood.client"]
    parts = list[bytes]()
    seconds, rate = (UPLOAD_SECONDS, UPLOAD_RATE) if multipart else (BODY_SECONDS, 0)
    request.state.held = 0
    async for piece in pieces(request, limit, seconds, rate):
        if not shares.take(name, len(piece)):
            raise Problem("full", "too many forms are being read; try again in a second")
        request.state.held += len(piece)
        parts.append(piece)
    body = b"".join(parts)
    return _multipart(kind, body) if multipart else _urlencoded(body)


def let_go(request: Request) -> None:
    """Give back what a form took of the bytes that may be held at a time: once its request is answered."""
    held: int = getattr(request.state, "held", 0)
    if held:
        bodies_of(request).shares.give(request.scope["heartwood.client"], held)


def _urlencoded(body: bytes) -> Form:
    try:
        found = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Problem("malformed", "the form is not UTF-8, or has too many fields") from error
    return Form(tuple(found))


def _multipart(kind: str, body: bytes) -> Form:
    match = _BOUNDARY(kind)
    if match is None:
        raise Problem("malformed", "the form names no boundary between its fields")
    between = b"\r\n--" + match[1].encode()
    first, *parts = (b"\r\n" + body).split(between, FIELDS + 2)
    if first or not parts or not parts[-1].startswith(b"--") or len(parts) > FIELDS + 1:
        raise Problem("malformed", "the form doesn't begin and end with its boundary")
    fields, file = list[tuple[str, str]](), None
    for part in parts[:-1]:
        head, there, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = _NAME(head)
        if not there or name is None:
            raise Problem("malformed", "a field of the form has no name")
        found = _FILE(head)
        if found is None:
            fields.append((_text(name[1]), _text(content)))
        elif found[1] or content:
            file = SentFile(_named(_text(found[1])), _kind(head), content)
    return Form(tuple(fields), file)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("malformed", "a field of the form is not UTF-8") from error


def _named(name: str) -> str:
    """A file's name without a path; browsers write quotes and line ends of it as %22, %0D and %0A."""
    name = name.replace("\\", "/").rpartition("/")[2]
    return "".join(one for one in unquote(name) if one.isprintable())[:200]


def _kind(head: bytes) -> str:
    match = re.search(rb"(?i)content-type: *([a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60})", head)
    return match[1].decode("ascii").lower() if match else "application/octet-stream"


def sealed_kept(identity: IdentityRoot, account: str, form: Form) -> str:
    """What was typed into a form, sealed: the page that holds it may be left open, and the next one signs in on it."""
    return b64encode(identity.seal(KEPT_FIELD, account, urlencode(form.typed).encode()))


def opened_kept(
    identity: IdentityRoot, account: str, kept: str
) -> Sequence[tuple[str, str]] | None:
    """What was kept for an account; None for what was kept for another one, or is altered."""
    try:
        opened = identity.open(KEPT_FIELD, account, b64decode(kept))
    except CryptoError:
        return None
    return parse_qsl(opened.decode(), keep_blank_values=True, max_num_fields=FIELDS)
