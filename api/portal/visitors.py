"""Who visits: the session of the cookie, if it still counts, and the language."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.http import cookies
from api.http.problems import Problem
from api.http.proofs import address_of
from api.http.told import acting
from api.portal.acting import SessionClient
from api.portal.texts import LANGUAGE_COOKIE, Texts, chosen, texts_of
from client.sessions import SessionActor
from identity.actors import Caller
from identity.errors import NotSignedIn
from identity.sessions import caller_of
from ledger.directory import Member
from storage.ledger import Ledger


@dataclass
class Visitor:
    """Whoever asks for a page."""

    request: Request
    ledger: Ledger
    texts: Texts
    token: str = ""
    """Of the session; empty for nobody's."""
    known: Caller | None = field(default=None)

    @property
    def caller(self) -> Caller:
        """Who is signed in; raises NotSignedIn."""
        if self.known is None:
            raise NotSignedIn("sign in first")
        return self.known

    @property
    def csrf(self) -> str:
        """What forms of this session send back; empty where nobody is signed in."""
        return cookies.csrf_of(self.request, self.token) if self.token else ""

    @cached_property
    def client(self) -> SessionClient:
        """The ledger, for whoever is signed in; raises NotSignedIn."""
        return SessionClient(self.ledger, self.caller, self.address)

    @cached_property
    def actor(self) -> SessionActor:
        """Whoever is signed in, as journeys ask for it; raises NotSignedIn."""
        return SessionActor(self.ledger.origin, self.caller)

    def lets(self, action: str) -> bool:
        """Whether a doctor's profession lets them do that at all: what it doesn't, no page offers. The gate decides."""
        known = self.known
        if known is None or known.role != "doctor":
            return False
        row = self.ledger.row(Member, known.account, known.role, known.hospital)
        return row is not None and self.ledger.policy.lets(row.profession, action)

    @property
    def address(self) -> str:
        """Whence they come, as throttles count it."""
        return address_of(self.request)


async def visitor(request: Request) -> Visitor:
    """Who visits. A session that has ended is none; raises Problem for what comes from another site.

    Pages are found by links of other sites, too (`Sec-Fetch-Site: cross-site`): browsers send no cookie then, and whoever
    sends one all the same is refused.
    """
    ledger: Ledger = request.app.state.ledger
    cookie = request.cookies.get(LANGUAGE_COOKIE, "")
    language = chosen(cookie, request.headers.get("accept-language", ""))
    found = Visitor(request, ledger, texts_of(language))
    request.state.visitor = found
    if cookies.COOKIE not in request.cookies:
        return found
    try:
        token = cookies.sealed_token(request)
        found.known = await run_in_threadpool(caller_of, ledger, ledger.tokens, token)
    except NotSignedIn:
        return found
    except Problem as problem:
        if problem.kind != "not_signed_in":
            raise
        return found
    found.token = token
    acting(found.known.account)
    return found


TheVisitor = Annotated[Visitor, Depends(visitor)]
