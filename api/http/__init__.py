"""HTTP: thin routes over the journeys. A route parses, calls one function and renders."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.app.mail import mail_of
from api.app.metrics import Metrics
from api.app.opening import open_ledger
from api.app.settings import Settings
from api.app.witnesses import asking
from api.http import (
    appending,
    claims,
    contacts,
    health,
    inquiries,
    intake,
    inviting,
    joining,
    kept,
    log,
    numbers,
    own,
    passkeys,
    problems,
    profiles,
    readings,
    resetting,
    setting_up,
    signing_in,
    views,
    writing,
)
from api.http.bodies import Bodies
from api.http.bounded import Bounded
from api.http.callers import caller, key_holder
from api.http.cookies import COOKIE
from api.http.direct import Direct
from api.http.proofs import Proofs
from api.http.shares import Addresses
from api.http.uploads import Uploads
from client.witnesses import WitnessConnection
from people.mailing import MailSender
from storage.cosigning import WitnessFeed
from storage.feeding import feeding
from storage.ledger import Ledger
from storage.mail.port import Mail
from storage.maintenance.erasing import Eraser
from storage.maintenance.garbage import GarbageCollector
from storage.suspended import telling_due

_ROUTED = (
    appending,
    readings,
    writing,
    claims,
    views,
    signing_in,
    joining,
    own,
    resetting,
    setting_up,
    kept,
    passkeys,
    contacts,
    numbers,
    inquiries,
    inviting,
    profiles,
    intake,
    log,
    health,
)
_FORMS = (
    claims.OwnChartSent, contacts.ContactSent, contacts.AddressProofSent, numbers.NumberSent, inquiries.InquirySent, *resetting.FORMS, *setting_up.FORMS, intake.FilledSent, inviting.MailSent, *profiles.FORMS, joining.RegisterSent, joining.RecoverySent, *signing_in.FORMS, *own.FORMS, *kept.FORMS, *passkeys.FORMS, views.LookupSent,
    views.QuestionSent, writing.SealSent, writing.SubjectsSent,
)  # fmt: skip
_ERRORS: tuple[type[Exception], ...] = (Exception, *(kind for kind, _ in problems.ERRORS))


def create_app(
    opening: Callable[[], Ledger],
    close: bool = True,
    data: Path | None = None,
    mail: Mail | None = None,
) -> FastAPI:
    """The application; `opening` opens the ledger when it starts.

    It is closed when the application stops, unless it is somebody else's; closing finishes what was
    accepted. `data`: the ledger's data directory, if what was staged there and never named is to be swept, and erasures
    that are due are to be carried out. `mail`: where
    mail goes, if it is to be sent.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.ledger = ledger = opening()
        app.state.metrics = metrics
        app.state.bodies = Bodies()
        app.state.uploads = Uploads()
        app.state.proofs = Proofs()
        with (
            _sweeping(ledger, data, metrics),
            nullcontext() if data is None else Eraser(ledger).running(metrics.erased),
            feeding(ledger, metrics.followed),
            _witnessed(ledger, metrics),
            telling_due(ledger),
            nullcontext() if mail is None else MailSender(ledger, mail).running(metrics.mailed),
        ):
            yield
        if close:
            ledger.close()

    app = FastAPI(
        title="Heartwood",
        version="1",
        description="Signed events in, proofs out. See docs/http.md.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        # It asks the environment at each request; what is counted here stands in `health`.
        telemetry={"logs": False, "metrics": False, "tracing": False},
    )
    app.add_route("/v1/openapi.json", _openapi, include_in_schema=False)  # where it was at first
    for module in _ROUTED:
        app.include_router(module.router)
    from api.portal.mounting import mount  # here: its pages stand on this package

    portal = mount(app)
    routes = [
        *app.routes,
        *(route for module in _ROUTED for route in module.router.routes),
        *portal,
    ]
    app.state.addresses = [route for route in routes if isinstance(route, Route)]
    for error in _ERRORS:
        app.add_exception_handler(error, problems.answer_error)
    app.add_exception_handler(problems.Problem, problems.answer_error)
    app.add_exception_handler(RequestValidationError, problems.answer_validation)
    app.state.site = Settings().site()
    stack = app.build_middleware_stack
    # Outside of the framework's own layers: they cost more than what stands here.
    app.build_middleware_stack = lambda: Bounded(  # type: ignore[method-assign]
        Direct(stack()), metrics, Addresses(Settings().proxies)
    )
    _document(app)
    return app


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


def _sweeping(ledger: Ledger, data: Path | None, metrics: Metrics) -> AbstractContextManager[None]:
    """Garbage collection until the end, if there is a data directory to sweep."""
    if data is None:
        return nullcontext()
    garbage = GarbageCollector(ledger.stores, data, ledger.clock, ledger.log.unavailable)
    return garbage.running(metrics.swept)


@contextmanager
def _witnessed(ledger: Ledger, metrics: Metrics) -> Iterator[None]:
    """The feed of the log's witnesses until the end, if there is a policy that names any."""
    if ledger.witnesses is None or not ledger.witnesses.urls:
        yield
        return
    with (
        closing(WitnessConnection()) as asked,
        WitnessFeed(
            ledger, ledger.witnesses, asking(ledger, asked.ask), metrics.witnessed
        ).running(),
    ):
        yield


def serving() -> FastAPI:
    """The application by the settings of the environment."""
    settings = Settings()
    return create_app(lambda: open_ledger(settings), data=settings.data, mail=mail_of(settings))


def _by_session() -> list[tuple[str, str]]:
    """Path and method of each operation that depends on who is signed in."""
    routes = [r for module in _ROUTED for r in module.router.routes if isinstance(r, APIRoute)]
    return [
        (route.path, method.lower())
        for route in routes
        for method in route.methods or ()
        if any(one.call in (caller, key_holder) for one in route.dependant.dependencies)
    ]


def _coming(answers: dict[str, Any]) -> dict[str, Any]:
    """Those that we described; what FastAPI adds of its own has no example, and never comes."""
    out = {}
    for status, answer in answers.items():
        contents = answer.get("content", {})
        ours = {kind: content for kind, content in contents.items() if "example" in content}
        if ours or not contents:
            out[status] = answer | ({"content": ours} if ours else {})
    return out


def _document(app: FastAPI) -> None:
    """The OpenAPI document: the forms by name, no answer that never comes, how to sign in."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = made()
        _, forms = models_json_schema(
            [(form, "validation") for form in _FORMS], ref_template="#/components/schemas/{model}"
        )
        components = schema.setdefault("components", {})
        components["schemas"] = forms["$defs"]
        bearer = {"type": "http", "scheme": "bearer"}
        components["securitySchemes"] = {
            "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            "logToken": bearer, "readToken": bearer, "session": bearer,
        }  # fmt: skip
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"] = _coming(operation["responses"])
        for path, method in _by_session():
            schema["paths"][path][method]["security"] = [{"session": []}, {"cookie": []}]
        app.openapi_schema = schema
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
