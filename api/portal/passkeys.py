"""Passkeys: added and removed on one's own page, and signed in by. The page holds what is asked, its script puts in the answer."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.passkeys import counted_options
from api.http.proofs import proofs_of
from api.portal.entering import answer_of, came_in, second_of
from api.portal.forms import FORM_BYTES, Form, sent_form
from api.portal.pages import PageRoute, again, page, see
from api.portal.visitors import TheVisitor, Visitor
from identity.passkeys import (
    register_passkey,
    registration_options,
    remove_passkey,
    sign_in_by_passkey,
)
from identity.sites import Site

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def _site(visitor: Visitor) -> Site:
    found: Site = visitor.request.app.state.site
    return found


@router.post("/me/passkeys")
async def post_passkey(visitor: TheVisitor) -> Response:
    """Begin a passkey: what this device is asked for."""
    await sent_form(visitor)
    return await _asked_to_add(visitor)


async def _asked_to_add(visitor: Visitor, **context: Any) -> Response:
    options = await run_in_threadpool(
        registration_options, visitor.ledger, visitor.caller, _site(visitor)
    )
    asked = orjson.dumps(options).decode()
    return await page(visitor, "passkey_add.html", asked=asked, **context)


@router.post("/me/passkeys/add")
async def post_passkey_added(visitor: TheVisitor) -> Response:
    """Keep the passkey that this device made, by a fresh code."""
    form = await sent_form(visitor)
    caller = visitor.caller

    async def act() -> Response:
        await proofs_of(visitor.request).beside(
            register_passkey, visitor.ledger, caller, _site(visitor), answer_of(form), second_of(form), visitor.address
        )  # fmt: skip
        return see("/me", done="passkey")

    return await again(act, lambda problem: _asked_to_add(visitor, problem=problem))


@router.post("/me/passkeys/remove")
async def post_passkey_removed(visitor: TheVisitor) -> Response:
    """Remove one of one's own passkeys."""
    form = await sent_form(visitor)
    await run_in_threadpool(remove_passkey, visitor.ledger, visitor.caller, form["which"])
    return see("/me", done="passkey_removed")


@router.post("/sign-in/passkey")
async def post_sign_in_begun(visitor: TheVisitor) -> Response:
    """Begin to sign in by a passkey: what this device is asked for; an address may begin so many an hour."""
    form = await sent_form(visitor, 2 * FORM_BYTES)
    return await _asked_to_sign_in(visitor, form)


async def _asked_to_sign_in(visitor: Visitor, form: Form, **context: Any) -> Response:
    options = await run_in_threadpool(
        counted_options, visitor.ledger, _site(visitor), visitor.address
    )
    told: dict[str, Any] = {
        "then": form["then"],
        "kept": form.secret("kept"),
        "posts": bool(form["posts"]),
    }
    asked = orjson.dumps(options).decode()
    return await page(visitor, "passkey_sign_in.html", asked=asked, **told | context)


@router.post("/sign-in/by-passkey")
async def post_signed_in(visitor: TheVisitor) -> Response:
    """Sign in by the passkey that this device showed; what was typed when the session ended comes back."""
    form = await sent_form(visitor, 2 * FORM_BYTES)

    async def act() -> Response:
        session = await proofs_of(visitor.request).beside(
            sign_in_by_passkey, visitor.ledger, _site(visitor), answer_of(form), "person", "", visitor.address
        )  # fmt: skip
        return await came_in(visitor, form, session)

    async def once_more(problem: Any) -> Response:
        return await _asked_to_sign_in(visitor, form, problem=problem)

    return await again(act, once_more, frozenset({"not_signed_in"}))
