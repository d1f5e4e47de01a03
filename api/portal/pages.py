"""Pages: rendered, under the headers that every answer has; what is refused is a page, too, and loses nothing typed."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.http import cookies
from api.http.problems import PROBLEMS, Problem, problem_met, problem_of
from api.portal import terms, words
from api.portal.forms import Form, let_go, sealed_kept
from api.portal.texts import LANGUAGES, Texts, chosen, moment_of, texts_of
from api.portal.visitors import Visitor
from crypto.ids import ID_PATTERN
from identity.errors import FactorConflict, KeyNeeded, NotSignedIn
from identity.own import factors_of, own_roles
from identity.passkeys import step_up_options
from ledger.errors import Refused
from storage.errors import Unavailable

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Own styles, scripts and pictures alone, none of them inline; forms go nowhere else, and nobody frames a page."""
CHECKING = POLICY.replace("'none';", "'none'; connect-src 'self';", 1)
"""Of pages that check proofs in the browser: they fetch these, of this site alone."""
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not `no-referrer`, under which browsers say `Origin: null` with forms: their origin is looked at.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer, unless it says another value itself."""
VERSION_DIGITS = 16
"""How much of the hash of what a page loads stands in its address."""
AGAIN = frozenset({
    "claim", "conflict", "duplicate_id", "malformed", "not_found", "password", "proof", "quota", "throttled",
    "too_large", "too_many_claims",
})  # fmt: skip
"""Problems of what was typed: the form comes again, with what was typed and what is wrong."""
_CHART = re.compile(rf"/patients/(pt_{ID_PATTERN})/chart").fullmatch
_PLACE = re.compile(r"/(?!/)[!-\[\]-~]{0,500}").fullmatch


class PageRoute(APIRoute):
    """A route whose every answer is a page: also where something is refused."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with refusals as pages and the headers of all pages.

        A browser that fetches a page beforehand (`Sec-Purpose`, Fetch Standard) gets none: a look that nobody took would
        stand in the log, and use up a grant.
        """
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            if request.headers.get("sec-purpose", "").startswith("prefetch"):
                return secured(Response(status_code=204))
            try:
                response = await handle(request)
            except Exception as error:
                response = await refused(request, error)
            finally:
                let_go(request)
            return secured(response)

        return handled


def secured(response: Response) -> Response:
    """A response with the headers of every page; its own values stay."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def place(then: str) -> str:
    """An address of this site that somebody wanted to go to; their start page where it is none."""
    return then if _PLACE(then) and not then.startswith("/sign-in") else "/today"


def see(path: str, **query: str) -> Response:
    """Go on at another page of this site (after a form: POST, redirect, GET)."""
    given = {name: value for name, value in query.items() if value}
    return RedirectResponse(path + (f"?{urlencode(given)}" if given else ""), 303)


async def page(visitor: Visitor, template: str, status: int = 200, **context: Any) -> Response:
    """A page in the visitor's language."""
    return HTMLResponse(await run_in_threadpool(_rendered, visitor, template, context), status)


def _rendered(visitor: Visitor, template: str, context: Mapping[str, Any]) -> str:
    known = visitor.known
    roles = () if known is None else own_roles(visitor.ledger, known)
    shown = {
        "csrf": visitor.csrf, "known": known, "lets": visitor.lets, "languages": LANGUAGES, "nav": words.NAVIGATION.get(known.role if known else "", ()),
        "offers_passkeys": bool(visitor.request.app.state.site.origin), "path": visitor.request.url.path, "roles": roles, "texts": visitor.texts, "problem": None, "typed": {},
        "notice": words.NOTICES.get(visitor.request.query_params.get("done", ""), ""),
    }  # fmt: skip
    return environment(visitor.texts.language).get_template(template).render(shown | dict(context))


@cache
def environment(language: str) -> Environment:
    """The templates, with the texts of a language."""
    texts = texts_of(language)
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.install_gettext_callables(texts.text, texts.plural, newstyle=True)  # type: ignore[attr-defined]
    env.globals |= {
        "asset": asset, "number": texts.number, "when": lambda at: _moment(texts, at), "day": texts.day,
        "terms": terms, "words": words, "say": lambda english: texts.text(english),
    }  # fmt: skip
    return env


def _moment(texts: Texts, at: int | str) -> Markup:
    machine = moment_of(at).isoformat()
    return Markup('<time datetime="{}">{}</time>').format(machine, texts.moment(at))


@cache
def assets() -> Mapping[str, bytes]:
    """What pages load, by name."""
    return {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir())}


@cache
def asset_hash(name: str) -> str:
    """SHA-256 of what a page loads, in hexadecimal."""
    return hashlib.sha256(assets()[name]).hexdigest()


def asset(name: str) -> str:
    """The address of what a page loads; another content has another address."""
    return f"/static/{name}?v={asset_hash(name)[:VERSION_DIGITS]}"


def checking(response: Response) -> Response:
    """A page whose scripts may fetch from this site."""
    response.headers["Content-Security-Policy"] = CHECKING
    return response


async def again(
    act: Callable[[], Awaitable[Response]],
    form: Callable[[Problem], Awaitable[Response]],
    also: frozenset[str] = frozenset(),
) -> Response:
    """What `act` answers; or, where what was typed is refused, the form once more with the problem."""
    try:
        return await act()
    except Exception as error:
        problem = problem_of(error)
        if isinstance(error, KeyNeeded) or problem.kind not in AGAIN | also:
            raise
        response = await form(problem)
        response.status_code = PROBLEMS[problem.kind].status
        return response


async def refused(request: Request, error: Exception) -> Response:
    """The page of an error: sign in, step up, or what is the matter and where to go on."""
    visitor = _visitor(request)
    problem = _problem(error)
    form: Form | None = getattr(request.state, "form", None)
    reads = request.method in ("GET", "HEAD")
    here = request.url.path + (f"?{request.url.query}" if reads and request.url.query else "")
    account = cookies.account_of(request) if visitor.known is None else visitor.known.account
    keeps = form is not None and account != ""
    kept = sealed_kept(visitor.ledger.identity, account, form) if form is not None and keeps else ""
    status = PROBLEMS[problem.kind].status
    told = {"then": here if reads or keeps else "", "kept": kept, "posts": keeps, "problem": None}
    if problem.kind == "not_signed_in":
        if reads:
            return see("/sign-in", then=here)
        return await page(visitor, "sign_in.html", status, **told | {"problem": problem})
    if await _steps_up(visitor, problem):
        asked = await passkey_asked(visitor)
        return await page(visitor, "step_up.html", status, **told | {"passkey": asked})
    if problem.kind == "cross_site" and form is not None and visitor.known is not None:
        return await page(
            visitor, "go_on.html", status, then=here, fields=form.typed, why="another", problem=None
        )
    kind = "kept_key" if isinstance(error, KeyNeeded) else problem.kind
    chart = _CHART(request.url.path)
    response = await page(
        visitor,
        "problem.html",
        status,
        problem=problem,
        kind=kind,
        patient=chart[1] if chart else "",
    )
    if wait := problem.members.get("seconds", PROBLEMS[problem.kind].retry_after):
        response.headers["Retry-After"] = str(int(wait) + 1)
    return response


async def _steps_up(visitor: Visitor, problem: Problem) -> bool:
    """Whether a code would help: it is missing, and there are codes."""
    if visitor.known is None or visitor.known.session is None:
        return False
    denied = problem.kind == "denied" and problem.members.get("reason") == "step_up"
    if not denied and problem.kind not in ("second_factor", "step_up"):
        return False
    return (await run_in_threadpool(factors_of, visitor.ledger, visitor.known)).code


async def passkey_asked(visitor: Visitor) -> str:
    """What the page's script asks a passkey for to step up by, as JSON; empty where there is none, or none counts here."""

    def asked() -> str:
        site = visitor.request.app.state.site
        if not site.origin or visitor.known is None:
            return ""
        try:
            options = step_up_options(visitor.ledger, visitor.known, site, visitor.token)
        except (DBAPIError, FactorConflict, KeyNeeded, NotSignedIn, Refused, Unavailable):
            return ""  # the page asks for a code, which says what is the matter once it is sent
        return orjson.dumps(options).decode()

    return await run_in_threadpool(asked)


def _problem(error: Exception) -> Problem:
    if isinstance(error, HTTPException):
        return Problem("method" if error.status_code == 405 else "not_found", str(error.detail))
    if isinstance(error, RequestValidationError):
        return Problem("not_found", "there is no such page")
    return problem_met(error)


def _visitor(request: Request) -> Visitor:
    found: Visitor | None = getattr(request.state, "visitor", None)
    if found is not None:
        return found
    language = chosen("", request.headers.get("accept-language", ""))
    return Visitor(request, request.app.state.ledger, texts_of(language))


def attachment(name: str) -> str:
    """The header that names a download: whatever its name holds, it stays a name (RFC 6266, RFC 8187)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)[:80] or "record"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:120], safe='')}"
