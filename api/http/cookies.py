"""Sessions of browsers: a cookie that no script reads, and what shows that a request comes from this site's own pages.

What the cookie holds is the session's token, sealed: it counts as a cookie alone, and a token for programs counts as a
bearer token alone. A browser sends the cookie whoever makes it ask, so that is looked at as well: `Sec-Fetch-Site`
and `Origin` must not name another site, and what changes something needs this site's `Origin` and a token that only pages of
this site can read (OWASP's cheat sheet on CSRF: signed double submit, bound to the session).
"""

import secrets
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from api.http.problems import Problem
from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from crypto.identity import IdentityRoot
from identity.sessions import TOKEN_BYTES
from storage.ledger import Ledger

COOKIE = "__Host-heartwood"
"""Of the session. The prefix demands `Secure`, the path `/` and no domain (RFC 6265bis, 4.1.3.2)."""
CSRF_COOKIE = "__Host-heartwood-csrf"
"""What pages of this site read, and send back as `CSRF_HEADER` with what changes something."""
CSRF_HEADER = "Heartwood-CSRF"
ASKED_BY = "Heartwood-Session"
"""The header of a sign-in that asks for a cookie, by the value `cookie`. No form can send it."""
_SEALED = "cookie"
"""The kind under which tokens are sealed."""
_CSRF = "csrf"
"""The kind of keyed hash of a session's token that its pages send back."""
_READS = frozenset({"GET", "HEAD"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts of which browsers keep such cookies without TLS, too."""


def asks_for_cookie(request: Request) -> bool:
    """Whether a sign-in asks for a cookie; raises Problem for another value of the header, and from another site."""
    asked = request.headers.get(ASKED_BY)
    if asked is None:
        return False
    if asked != "cookie":
        raise Problem("malformed", f"expected no header {ASKED_BY}, or the value cookie")
    check_site(request, changes=True)
    return True


def by_cookie(request: Request) -> bool:
    """Whether a request shows a cookie alone; a bearer token beside it is what counts."""
    return COOKIE in request.cookies and "authorization" not in request.headers


def token_of(request: Request) -> str:
    """The token of the session whose cookie a request shows; raises Problem where it comes from elsewhere, and where it
    changes something without `CSRF_HEADER`."""
    token = sealed_token(request)
    if request.method not in _READS:
        check_csrf(
            request, token, request.headers.get(CSRF_HEADER, ""), f"the header {CSRF_HEADER}"
        )
    return token


def sealed_token(request: Request) -> str:
    """The token of the session whose cookie a request shows, from a page of this site; raises Problem.

    Whoever changes something also looks at what the page sent back: `check_csrf`.
    """
    check_site(request, request.method not in _READS)
    opened = _opened(request)
    if not opened:
        raise Problem("not_signed_in", "the cookie is of no session: sign in again")
    return b64encode(opened[:TOKEN_BYTES])


def account_of(request: Request) -> str:
    """The account whose session a cookie is or was of, also once it has ended; empty where none shows it."""
    return _opened(request)[TOKEN_BYTES:].decode("ascii", "replace")


def _opened(request: Request) -> bytes:
    """What the cookie seals: a session's token, and the account; empty where there is no cookie, or another's."""
    try:
        return _identity(request).open(_SEALED, "", b64decode(request.cookies.get(COOKIE, "")))
    except CryptoError:
        return b""


def csrf_of(request: Request, token: str) -> str:
    """What pages of a session send back with what changes something."""
    return _csrf(_identity(request), token)


def check_csrf(request: Request, token: str, shown: str, where: str) -> None:
    """Raises Problem unless a page of this very session sent `shown`; `where` it was looked for."""
    if not secrets.compare_digest(shown.encode(), csrf_of(request, token).encode()):
        raise Problem("cross_site", f"expected {where} with the value of this session")


def answered(request: Request, response: Response, told: dict[str, Any]) -> dict[str, Any]:
    """A session as a browser is told of it: in cookies, and its token nowhere else."""
    csrf = keep(request, response, told["token"], "")
    return {name: value for name, value in told.items() if name != "token"} | {"csrf": csrf}


def keep(request: Request, response: Response, token: str, account: str) -> str:
    """Let the browser keep a session, in cookies; gives what its pages send back.

    `account`: whose it is, for pages that give back what was typed when it ended; empty where there are none.
    """
    identity = _identity(request)
    csrf = _csrf(identity, token)
    sealed = b64encode(identity.seal(_SEALED, "", b64decode(token) + account.encode()))
    for name, value, hidden in ((COOKIE, sealed, True), (CSRF_COOKIE, csrf, False)):
        response.set_cookie(name, value, path="/", secure=True, httponly=hidden, samesite="strict")
    return csrf


def forget(response: Response) -> None:
    """Let the browser forget its session."""
    for name, hidden in ((COOKIE, True), (CSRF_COOKIE, False)):
        response.delete_cookie(name, path="/", secure=True, httponly=hidden, samesite="strict")


def _csrf(identity: IdentityRoot, token: str) -> str:
    return b64encode(identity.index(_CSRF, token))


def _identity(request: Request) -> IdentityRoot:
    ledger: Ledger = request.app.state.ledger
    return ledger.identity


def check_site(request: Request, changes: bool) -> None:
    """Raises Problem unless a request comes from a page of the site that it asks, or is one's own (an address typed in)."""
    site = request.headers.get("sec-fetch-site", "same-origin")  # older browsers send none
    if site != "same-origin" and (changes or site != "none"):
        raise Problem("cross_site", "a session by cookie counts for pages of this site alone")
    origin = request.headers.get("origin")
    if origin is None and not changes:
        return
    if origin is None or not _is_own(origin, request.headers.get("host", "")):
        raise Problem(
            "cross_site",
            "expected the header Origin with this site's own, as the header Host names it, under https",
        )


def _is_own(origin: str, host: str) -> bool:
    schemes = ["https", "http"] if urlsplit(f"//{host}").hostname in _LOOPBACK else ["https"]
    return bool(host) and origin.lower() in {f"{scheme}://{host.lower()}" for scheme in schemes}
