"""Every page by HTTP alone: who gets it, its headers, its links; and what others sent stays text."""

from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from api.portal.charts import FILE_POLICY
from api.portal.mounting import ROUTERS
from api.portal.pages import CHECKING, HEADERS
from client import applying
from client.local import LocalClient
from records.uploads import Upload
from tests.integration.api.portal.conftest import NOTE, TITLE, Town
from tests.integration.records.test_written_badly import applied, staffed, upload
from tests.support.memory_log import SEALED
from tests.support.portal import Pages, Read

WHO = ("nobody", "person", "ada", "bob", "doctor", "admin", "operator")
EVERYBODY = dict.fromkeys(WHO, 200)
SIGNED_IN = EVERYBODY | {"nobody": 303}
"""Whoever isn't is sent to sign in."""
NONE = dict.fromkeys(WHO, 403) | {"nobody": 303}
PAGES: dict[str, dict[str, int]] = {
    "/": EVERYBODY, "/design": EVERYBODY, "/register": EVERYBODY, "/sign-in": EVERYBODY, "/static/{name}": EVERYBODY,
    "/today": SIGNED_IN, "/me": SIGNED_IN, "/me/code": SIGNED_IN, "/welcome": SIGNED_IN, "/roles": SIGNED_IN,
    "/step-up": SIGNED_IN, "/claim": SIGNED_IN, "/apply/doctor": SIGNED_IN, "/apply/hospital": SIGNED_IN,
    # To one's own chart; who has none goes back to the start.
    "/chart": dict.fromkeys(WHO, 303), "/access": dict.fromkeys(WHO, 303), "/history": dict.fromkeys(WHO, 303),
    "/patients/{patient}/chart": NONE | {"ada": 200},
    "/patients/{patient}/history": NONE | {"ada": 200}, "/check": EVERYBODY,
    # Of a look that nobody here took: the proof of one's own is in `test_proofs`.
    "/patients/{patient}/history/{seq}": dict.fromkeys(WHO, 404) | {"nobody": 303},
    "/patients/{patient}/access": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200},
    "/patients/{patient}/access/new": SIGNED_IN, "/patients/{patient}/access/new/{hospital}": SIGNED_IN,
    "/patients/{patient}/access/confirm": SIGNED_IN, "/patients/{patient}/upload": SIGNED_IN,
    "/records/{record}": NONE | {"ada": 200},
    "/records/{record}/file": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200},
    "/doctors": NONE | {"admin": 200}, "/hospitals": NONE | {"operator": 200},
    "/family": dict.fromkeys(WHO, 303), "/relatives": SIGNED_IN, "/requests": SIGNED_IN | {"ada": 303, "bob": 303},
    "/patients/{patient}/family": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200},
    "/patients/{patient}/requests": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200},
    "/patients/{patient}/ask": SIGNED_IN, "/inquire": SIGNED_IN, "/patients/{patient}/emergency": SIGNED_IN,
    "/patients": SIGNED_IN, "/records/{record}/erase": SIGNED_IN,
    "/patients/{patient}/erasures": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200},
    "/patients/{patient}/card": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200},
    "/patients/{patient}/write/{name}": NONE | {"ada": 200, "bob": 200, "doctor": 200},
    "/patients/{patient}/holds": dict.fromkeys(WHO, 404) | {"nobody": 303, "ada": 200, "doctor": 200, "admin": 200},
    # Many records are opened by a form alone.
    "/patients/{patient}/trends": dict.fromkeys(WHO, 303), "/patients/{patient}/overview": dict.fromkeys(WHO, 303),
    "/emergencies": NONE | {"admin": 200}, "/patients/{patient}/emergencies/{emergency}": NONE,
}  # fmt: skip
"""Each page that is looked at, on the chart of `ada`, and what each gets."""
POSTS = {
    "/me/passkeys", "/me/passkeys/add", "/me/passkeys/remove", "/sign-in/passkey", "/sign-in/by-passkey",
    "/language", "/register", "/sign-in", "/step-up", "/roles", "/sign-out", "/me/password", "/me/code", "/me/code/confirm",
    "/me/keys", "/me/chart", "/claim", "/me/contact", "/me/contact/proof", "/me/contact/remove", "/me/number", "/me/number/remove", "/me/sessions/end",
    "/apply/doctor", "/apply/hospital", "/patients/{patient}/upload", "/records/{record}/hide", "/records/{record}/show",
    "/find", "/patients/{patient}/access/grant", "/patients/{patient}/access/revoke", "/patients/{patient}/access/exclude",
    "/patients/{patient}/access/include", "/patients/{patient}/access/emergency", "/patients/{patient}/ask",
    "/patients/{patient}/requests/answer", "/inquire", "/patients/{patient}/inquiries/answer", "/patients/{patient}/emergency", "/patients/{patient}/emergencies/{emergency}",
    "/patients/{patient}/family/invite", "/patients/{patient}/family/end", "/relatives/accept", "/relatives/leave", "/patients/{patient}/erasures",
    "/patients/{patient}/erasures/withdraw", "/patients", "/patients/letter", "/patients/guardian",
    "/patients/{patient}/write/{name}", "/patients/{patient}/trends", "/patients/{patient}/overview",
    "/patients/{patient}/holds", "/patients/{patient}/holds/lift", "/holds", "/records/{record}/retract",
    "/doctors/approve", "/doctors/decline", "/hospitals/approve", "/hospitals/decline",
}  # fmt: skip


def routes(method: str) -> set[str]:
    """The paths that take a method."""
    found = [route for module in ROUTERS for route in module.router.routes]
    return {r.path for r in found if isinstance(r, APIRoute) and method in (r.methods or ())}


def filled(town: Town, path: str) -> str:
    """A path on the chart of `ada`."""
    at = path.format(
        patient=town.chart, record=town.record, hospital=town.portal.fixture.south.hospital,
        name="style.css" if "static" in path else "vitals",
        emergency="ev_01jd3q8m5c00000000000000zz", seq="0",
    )  # fmt: skip
    return f"{at}?reader={town.account.account}&days=7" if path.endswith("/confirm") else at


def test_the_table_names_every_page() -> None:
    """A page that isn't in it would be looked at by nobody."""
    assert routes("GET") == set(PAGES) and routes("POST") == POSTS


def check_headers(answer: httpx2.Response) -> None:
    """The headers of every answer of the portal."""
    own = {"Cache-Control", "Content-Security-Policy"} if "/static/" in str(answer.url) else set()
    for name, value in HEADERS.items():
        found = answer.headers[name]
        assert found == value or name in own or found in (CHECKING, FILE_POLICY), name
    assert "'unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", sorted(PAGES))
def test_who_gets_which_page(town: Town, path: str) -> None:
    """Own, foreign, in every role; under the same headers."""
    got = {}
    for name in WHO:
        who: Pages = getattr(town, name)
        if path.endswith("/file"):
            who.open(f"/records/{town.record}")
        answer = who.ask("GET", filled(town, path))
        check_headers(answer)
        got[name] = answer.status_code
    assert got == PAGES[path]


def test_no_dead_links(town: Town) -> None:
    """Everybody's pages lead on, and load, what is there."""
    for name in WHO:
        who: Pages = getattr(town, name)
        seen, waiting = set[str](), ["/", "/today"]
        while waiting and len(seen) < 60:
            path = waiting.pop()
            if path in seen or path.startswith("#"):
                continue
            seen.add(path)
            answer = who.ask("GET", path)
            assert answer.status_code in (200, 303), (name, path, answer.status_code)
            if answer.status_code == 303:
                waiting.append(answer.headers["location"])
            elif answer.headers["content-type"].startswith("text/html"):
                read = Read(answer.text)
                assert all(one.startswith(("/", "#")) for one in [*read.links, *read.loads])
                waiting += [*read.links, *read.loads]


def test_what_others_wrote_stays_text(town: Town) -> None:
    """Scripts in titles, notes and file names are shown, and never run."""
    chart = town.ada.open(f"/patients/{town.chart}/chart")
    assert TITLE in chart.text
    record = town.ada.open(f"/records/{town.record}")
    assert NOTE in record.text and TITLE in record.text
    assert town.ada.at is not None and "<script>alert" not in town.ada.at.text
    file = town.ada.ask("GET", f"/records/{town.record}/file")
    assert file.status_code == 200 and file.text == NOTE
    assert "sandbox" in file.headers["content-security-policy"]
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "image/png"])
def test_a_lying_type_runs_nothing(town: Town, kind: str) -> None:
    """A page that calls itself a picture is bytes under a sandbox."""
    bad = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    path = f"/patients/{town.chart}/upload"
    town.ada.open(path)
    name = 'a"; filename=evil.html\r\n<b>.svg'
    page = town.ada.send(
        path, {"title": kind, "category": "imaging"}, files={"file": (name, bad, kind)}
    )
    record = next(one for one in page.links if one.startswith("/records/"))
    assert town.ada.open(record) and town.ada.status() == 200
    shown = town.ada.ask("GET", f"{record}/file?show=1")
    assert shown.content == bad and shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["content-type"] == (
        "image/png" if kind == "image/png" else "application/octet-stream"
    )


def test_a_file_is_its_readers(town: Town) -> None:
    """The cookie of a reading gives nothing to another session."""
    town.ada.open(f"/records/{town.record}")
    name = "__Secure-heartwood-reading"
    town.bob.cookies[name] = town.ada.cookies[name]
    assert town.bob.ask("GET", f"/records/{town.record}/file").status_code == 404
    del town.bob.cookies[name]


def test_resources_are_tables(town: Town) -> None:
    """FHIR is shown as rows, without its narrative."""
    resource = (
        b'{"resourceType":"Observation","text":{"status":"generated","div":"<div>evil</div>"},'
        b'"code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin <b>"}]},'
        b'"valueQuantity":{"value":13.9,"unit":"g/dL"},"deep":[[[[[[[[[[1]]]]]]]]]]}'
    )
    path = f"/patients/{town.chart}/upload"
    town.ada.open(path)
    files = {"file": ("o.json", resource, "application/fhir+json")}
    page = town.ada.send(path, {"title": "Hb", "category": "laboratory"}, files=files)
    shown = town.ada.open(next(one for one in page.links if one.startswith("/records/")))
    assert "FHIR Observation" in shown.text and "Hemoglobin <b>" in shown.text
    assert "13.9 g/dL" in shown.text and "evil" not in shown.text


def test_the_operator_sees_the_key_that_a_hospital_applied_with(town: Town) -> None:
    """As long as the hospital waits: the approval lets it act."""
    client = LocalClient(town.portal.fixture.ledger)
    person = applying.register(client, "Hana Leitner")[0]
    system, _ = applying.apply_with_system(client, person, "Seeklinik", "Etc/UTC", "Hana")
    assert f"its system’s key: {system.key.id}" in town.operator.open("/hospitals").text
    town.operator.send("/hospitals/approve", {"hospital": system.hospital})
    town.operator.steps_up()
    town.operator.goes_on()
    assert client.hospital(system, system.hospital).active
    assert system.key.id not in town.operator.open("/hospitals?state=approved").text


def test_a_refused_reading_is_explained(town: Town) -> None:
    """In words, with what would have to change, and nothing of the record."""
    page = town.doctor.open(f"/records/{town.record}")
    assert town.doctor.status() == 403
    assert "The patient has given no consent that covers this." in page.text
    assert TITLE not in page.text
    refused = town.ada.open(f"/patients/{town.chart}/history?only=refused")
    assert "tried, and was refused: opened a record" in refused.text and "(S12)" in refused.text


def test_what_is_fetched_beforehand_is_no_look(town: Town) -> None:
    """A browser that guesses what comes next leaves no entry, and gets nothing."""
    ledger = town.portal.fixture.ledger
    before = ledger.head().size
    for path in (f"/patients/{town.chart}/chart", f"/records/{town.record}", "/history"):
        for purpose in ("prefetch", "prefetch;prerender"):
            answer = town.ada.ask("GET", path, headers={"Sec-Purpose": purpose})
            assert (answer.status_code, answer.content) == (204, b"")
            check_headers(answer)
    assert ledger.head().size == before


def test_a_program_gets_problems_as_before(town: Town) -> None:
    """Where nothing is, a browser gets a page, and everybody else the document."""
    client = town.portal.web.client
    assert client.get("/nothing").headers["content-type"] == "application/problem+json"
    page = client.get("/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")
    check_headers(page)
    under: Any = client.get("/v1/nothing", headers={"Accept": "text/html"})
    assert under.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("language", ["en", "de"])
def test_pages_in_each_language(town: Town, language: str) -> None:
    """By the browser's wish, and by choice."""
    somebody = town.portal.somebody()
    somebody.headers["Accept-Language"] = language
    assert f'<html lang="{language}">' in str(
        somebody.open("/") and somebody.at and somebody.at.text
    )
    other = "de" if language == "en" else "en"
    somebody.send("/language", {"language": other})
    assert somebody.at is not None and f'<html lang="{other}">' in somebody.at.text


def test_what_is_written_badly_keeps_no_page_from_anybody(town: Town) -> None:
    """A made-up title on a chart, and a made-up name at a hospital: each page goes on, and says what can't be opened."""
    fixture, client = town.portal.fixture, LocalClient(town.portal.fixture.ledger)
    eva = town.portal.somebody().registers("Eva Nord")
    chart = eva.opens_chart("Eva Nord")
    who = staffed(client, fixture.south.admin)
    record = upload(client, who, Upload(chart, "document", "text/plain", [b"x"]), SEALED)
    page = eva.open(f"/patients/{chart}/chart")
    assert eva.status() == 200 and "title can’t be opened" in page.text
    assert "can’t be opened" in eva.open(f"/records/{record}").text and eva.status() == 200
    assert who.account in eva.open(f"/patients/{chart}/history").text and eva.status() == 200
    offer = f"/patients/{chart}/access/new/{fixture.south.hospital}"
    assert who.account in eva.open(offer).text and eva.status() == 200
    assert eva.open(f"/patients/{chart}/access") and eva.status() == 200
    bad = applied(client)
    for pages, path in ((town.operator, "/hospitals?state=pending"), (town.admin, "/doctors")):
        page = pages.open(path)
        assert pages.status() == 200, page.text
    assert bad in town.operator.open("/hospitals?state=pending").text
