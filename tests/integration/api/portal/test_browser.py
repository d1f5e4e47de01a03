"""The main journey in a real browser: a patient registers, sets up codes, adds a record and grants; a doctor reads; the patient sees it.

On every page the browser reports no violation of the content policy and no error of a script, and axe-core finds nothing. With
PORTAL_PICTURES=FOLDER each page's picture is written there, wide and narrow, light and dark.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import orjson
import pytest
from playwright.sync_api import Page, sync_playwright

from api.app.settings import Settings
from api.portal import terms
from client import beside, grants, registering
from client.claiming import new_code
from client.local import LocalClient
from client.registering import NewPatient
from identity.actors import new_id
from records.uploads import Upload
from tests.support.packages import program
from tests.support.portal import BORN, Portal, served_portal
from tests.support.server import bearer, good
from tests.support.sign_ins import PASSWORD
from tests.unit.people.test_clinical import WHOLE

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
CUT = """() => [...document.querySelectorAll("main *")].filter(one => {
    const clips = one.closest(".list, .card, .sheet, main"), at = one.getBoundingClientRect();
    return at.width && at.right > clips.getBoundingClientRect().right + 1;
}).map(one => one.outerHTML.slice(0, 120))"""
"""What reaches out of the box that clips it: a page's width doesn't tell."""
PICTURES = os.environ.get("PORTAL_PICTURES", "")
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
RULES = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
"""All that another colour scheme can change."""
CHECK = (
    f"async rules => {{ if (!window.axe) {{ {AXE} }} return (await axe.run({{runOnly: rules}}))"
    ".violations.map(v => [v.id, v.nodes.map(n => n.html + n.failureSummary)]) }"
)


@dataclass
class Tab:
    """One page of a browser with cookies of its own, and what went wrong in it."""

    page: Page
    site: str
    wrong: list[str] = field(default_factory=list)
    seen: int = 0

    def __post_init__(self) -> None:
        """Listen, from before any page's own script on."""
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("console", self._said)
        self.page.on("requestfailed", lambda one: self.wrong.append(f"failed: {one.url}"))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and "status of 40" not in message.text:
            self.wrong.append(f"{message.type}: {message.text}")

    def go(self, path: str) -> None:
        """Open a page."""
        self.page.goto(self.site + path)
        self.look()

    def pass_by(self, path: str) -> None:
        """Open a page like one that was looked at; what it loads is waited for, as its icon is no part of loading."""
        self.page.goto(self.site + path, wait_until="networkidle")

    def look(self) -> None:
        """What is open is accessible, breaks no policy, and fits a phone."""
        self.page.wait_for_load_state()
        assert not self.wrong, (self.page.url, self.wrong)
        self._check("dark", CONTRAST)
        self._check("light", RULES)
        self.seen += 1
        for name, (width, height) in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            across = self.page.evaluate("document.documentElement.scrollWidth")
            assert across <= width, (self.page.url, width, across)
            cut = self.page.evaluate(CUT)
            assert not cut, (self.page.url, width, cut)
            if PICTURES:
                self._picture(name)
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def _check(self, scheme: Literal["dark", "light"], rules: Any) -> None:
        self.page.emulate_media(color_scheme=scheme)
        found = self.page.evaluate(CHECK, rules)
        assert not found, (self.page.url, scheme, found)

    def _picture(self, size: str) -> None:
        place = self.page.url.removeprefix(self.site).partition("?")[0].strip("/").replace("/", "-")
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            name = f"{self.seen:02}-{place[:24] or 'home'}-{size}-{scheme}.png"
            self.page.screenshot(path=str(Path(PICTURES) / name), full_page=True)
        self.page.emulate_media(color_scheme="light")

    def fill(self, **typed: str) -> None:
        """Fill in fields by their names."""
        for name, value in typed.items():
            self.page.locator(f'[name="{name}"]').last.fill(value)

    def press(self, name: str) -> None:
        """Press a button or follow a link by its words, and look at what comes."""
        found = self.page.get_by_role("button", name=name, exact=True)
        if not found.count():
            found = self.page.get_by_role("link", name=name, exact=True)
        with self.page.expect_navigation():
            found.first.click()
        self.look()

    def says(self, text: str) -> None:
        """The page says something."""
        assert text in self.page.locator("body").inner_text(), (self.page.url, text)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A served ledger."""
    with served_portal(Settings(data=tmp_path_factory.mktemp("browser") / "data")) as found:
        yield found


@pytest.fixture
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    path = program("chromium", "chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


def tab_of(browser: Any, portal: Portal, **options: Any) -> Tab:
    """A tab of somebody new. Browsers keep secure cookies without TLS for `localhost` alone."""
    site = portal.web.url.replace("127.0.0.1", "localhost")
    return Tab(browser.new_context(locale="en-GB", **options).new_page(), site)


def registered(tab: Tab, portal: Portal, name: str) -> Any:
    """Open an account with codes and a kept key, by pages; gives somebody who makes codes."""
    who = portal.somebody()
    tab.go("/")
    tab.press("Open an account")
    tab.fill(name=name, password=PASSWORD, proof=PASSWORD)
    tab.press("Open the account")
    who.account = str(tab.page.locator("main code").first.inner_text())
    tab.press("Set up codes")
    tab.press("Begin")
    who.seed = str(tab.page.locator('[name="seed"]').get_attribute("value"))
    assert tab.page.locator("svg.qr").bounding_box()
    tab.fill(code=who.code(), password=PASSWORD)
    tab.press("Let the codes count")
    tab.press("I have them, go on")
    tab.fill(second=who.code())
    tab.press("Let the service keep my key")
    return who


def test_the_main_journey(browser: Any, portal: Portal, tmp_path: Path) -> None:
    """From the first page to seeing who looked."""
    ada, doc = tab_of(browser, portal), tab_of(browser, portal)
    patient = registered(ada, portal, "Ada Lind")
    ada.fill(name="Ada Lind", born=BORN)
    ada.press("Open my chart")
    chart = str(ada.page.locator("main code").last.inner_text())

    picture = tmp_path / "scan.png"
    ada.page.screenshot(path=str(picture))
    ada.press("Chart")
    for title, category in (("A scan", "imaging"), ("Blood count", "laboratory")):
        ada.press("Add a record")
        ada.page.locator('[name="category"]').select_option(category)
        ada.fill(title=title, date="2026-11-20")
        if category == "imaging":
            ada.page.locator('[name="file"]').set_input_files(str(picture))
        else:
            ada.fill(note="Haemoglobin 13.9 g/dl")
        ada.press("Add it")
    ada.press("A scan")
    assert ada.page.locator("img.picture").evaluate("one => one.naturalWidth > 100")
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download a copy").click()
    assert Path(download.value.path()).read_bytes() == picture.read_bytes()
    ada.wrong.clear()  # a download ends its navigation

    actor = portal.fixture.doctor()
    doctor = portal.with_key(actor)
    doc.go("/sign-in")
    doc.fill(account=doctor.account, password=PASSWORD, second=doctor.code())
    doc.press("Sign in")
    doc.fill(wanted=chart)
    doc.press("Open the chart")
    doc.says("The rules don’t allow this")

    ada.go("/access")
    ada.press("Give access")
    ada.press("Südklinik")
    ada.page.get_by_label("Dr. Ö").check()
    ada.press("Go on")
    ada.says("nothing is given yet")
    ada.press("Give access")
    if "/step-up" in ada.page.content():
        ada.fill(second=patient.code())
        ada.press("Go on")
        ada.press("Do it now")
    ada.says("Access is given.")

    doc.go("/today")
    doc.fill(wanted=chart)
    doc.press("Open the chart")
    doc.press("Laboratory")
    doc.says("Haemoglobin")
    doc.says("The patient granted it.")

    ada.press("Who looked")
    ada.says("Dr. Ö, Südklinik: opened a record")
    ada.press("Refused")
    ada.press("Me")
    ada.press("Today")
    ada.go("/design")
    ada.press("Deutsch")
    ada.press("Heute")
    ada.press("Wer hat gesehen")
    ada.press("Abmelden")
    assert not ada.wrong + doc.wrong


def test_claiming_by_pages(browser: Any, portal: Portal) -> None:
    """A chart that a hospital keeps becomes the patient's by the letter's code."""
    fixture, tab = portal.fixture, tab_of(browser, portal)
    client, system = LocalClient(fixture.ledger), fixture.north.system
    now = client.now()
    code = new_code(new_id("pt", now))
    new = NewPatient(
        code.patient, new_id("ac", now), "Pia Brandt", None, False, None, claim=code.public, born=BORN
    )  # fmt: skip
    registering.register_patients(client, system, [new])
    registered(tab, portal, "Pia Brandt")
    tab.go("/claim")
    tab.fill(patient=new.patient, letter=code.text, born="1958-03-15")
    tab.press("Claim the chart")
    tab.says("This was not accepted.")
    tab.fill(letter=code.text, born=BORN)
    tab.press("Claim the chart")
    tab.says("The chart is yours now.")


def test_deciding_by_pages(browser: Any, portal: Portal) -> None:
    """A hospital applies and is approved; a doctor applies there, and is."""
    founder, applicant, ruler = (tab_of(browser, portal) for _ in range(3))
    head = registered(founder, portal, "Hana Leitner")
    founder.go("/apply/hospital")
    founder.fill(name="Klinik am See", contact="+49 30 1234567", zone="Europe/Berlin")
    founder.press("Apply")
    founder.says("Waiting")
    operator = portal.with_key(portal.fixture.operator)
    ruler.go("/sign-in")
    ruler.fill(account=operator.account, password=PASSWORD, second=operator.code())
    ruler.press("Sign in")
    ruler.press("Hospitals")
    ruler.press("Approve Klinik am See")
    sure(ruler, operator)
    ruler.says("Approved.")
    doctor = registered(applicant, portal, "Dr. Jo Weiß")
    applicant.go("/apply/doctor")
    applicant.page.locator('[name="hospital"]').select_option(label="Klinik am See")
    applicant.press("Apply")
    sure(applicant, doctor)
    applicant.says("Waiting")
    founder.go("/roles")
    founder.press("Act as: Hospital admin, Klinik am See")
    sure(founder, head)
    founder.press("Doctors")
    founder.press("Approve Dr. Jo Weiß")
    sure(founder, head)
    founder.says("Approved.")
    applicant.go("/roles")
    applicant.says("Klinik am See")


def test_asking_emergency_and_family_by_pages(browser: Any, portal: Portal) -> None:
    """A doctor asks and declares an emergency; the patient answers, invites a relative, and sees it all; the admin reviews."""
    ada, doc, head, kin = (tab_of(browser, portal) for _ in range(4))
    patient = registered(ada, portal, "Ina Lind")
    ada.fill(name="Ina Lind", born=BORN)
    ada.press("Open my chart")
    chart = str(ada.page.locator("main code").last.inner_text())
    ada.press("Chart")
    ada.press("Add a record")
    ada.page.locator('[name="category"]').select_option("laboratory")
    ada.fill(title="Blood count", note="Haemoglobin 13.9 g/dl")
    ada.press("Add it")

    doctor = portal.with_key(portal.fixture.doctor())
    doc.go("/sign-in")
    doc.fill(account=doctor.account, password=PASSWORD, second=doctor.code())
    doc.press("Sign in")
    doc.fill(wanted=chart)
    doc.press("Open the chart")
    doc.press("Ask the patient for access")
    doc.fill(words="The last blood count, before surgery on Friday")
    doc.page.locator('[name="days"]').select_option("90")
    doc.press("Ask")
    doc.says("waits")

    ada.go("/access")
    ada.press("Look")
    ada.press("Read what they wrote")
    ada.says("The last blood count")
    ada.go("/requests")
    ada.press("Say no")
    sure(ada, patient)
    ada.says("You said no.")

    doc.go("/today")
    doc.fill(wanted=chart)
    doc.press("Open the chart")
    doc.press("It is an emergency")
    doc.page.get_by_label("The patient’s life is at risk").check()
    doc.fill(text="Unconscious after a fall")
    doc.press("Declare it, and look")
    sure(doc, doctor)
    doc.press("Laboratory")
    doc.says("Haemoglobin")

    admin = portal.with_key(portal.fixture.south.admin)
    head.go("/sign-in")
    head.fill(account=admin.account, password=PASSWORD, second=admin.code())
    head.press("Sign in")
    head.press("Emergencies")
    head.page.get_by_role("link", name="Review the emergency").last.click()
    head.look()
    head.says("Unconscious after a fall")
    head.page.get_by_label("It was an emergency, and what was read was needed").check()
    head.fill(text="Justified")
    head.press("Close the review")
    head.says("The review is closed.")
    head.go("/emergencies?state=reviewed")
    head.go("/requests")
    head.press("Patients")
    head.page.locator('[name="name"]').fill("Otto Alt")
    head.page.locator('[name="born"]').first.fill(BORN)
    head.press("Register, and show the letter")
    sure(head, admin)
    assert head.page.locator("svg.qr").bounding_box()

    ada.go(f"/patients/{chart}/card")
    ada.press("Today")
    ada.press("Chart")
    ada.press("Blood count")
    ada.press("Erase this record")
    ada.press("Erase it")
    sure(ada, patient)
    ada.says("You asked for it.")
    ada.page.get_by_role("button", name="Take back the erasure").click()
    ada.look()
    sure(ada, patient)
    ada.says("Taken back.")

    relative = registered(kin, portal, "Tom Lind")
    ada.go("/family")
    ada.page.get_by_label("see who looked").check()
    ada.press("Make an invitation")
    sure(ada, patient)
    line = str(ada.page.locator("code.long").inner_text())
    kin.go("/relatives")
    kin.fill(letter=line)
    kin.press("Accept it")
    kin.says("You act for them now")
    kin.press("Choose the role")
    kin.press("Act as: Relative")
    sure(kin, relative)
    kin.press("Relatives")
    kin.press(chart)
    kin.press("Laboratory")
    kin.says("Haemoglobin")
    ada.go("/history")
    ada.says(relative.account)
    ada.go("/family")
    ada.press(f"End what {relative.account} may do")
    ada.says("Ended, as of now.")
    assert not ada.wrong + doc.wrong + head.wrong + kin.wrong


def test_the_chart_over_years_by_pages(browser: Any, portal: Portal) -> None:
    """A patient measures, a doctor writes each kind and corrects one; both see it over time, and what matters on one page."""
    fixture, ada, doc = portal.fixture, tab_of(browser, portal), tab_of(browser, portal)
    person, actor = fixture.person("Ida Lind"), fixture.doctor()
    chart = person.patient
    grants.grant(
        LocalClient(fixture.ledger), person.actor, chart, actor.account, actions=("append", "list", "read"),
    )  # fmt: skip
    beside.upload(fixture.ledger, fixture.north.system, list(years_of(chart)))
    patient, doctor = (portal.with_key(one) for one in (person.actor, actor))
    for tab, who in ((ada, patient), (doc, doctor)):
        tab.go("/sign-in")
        tab.fill(account=who.account, password=PASSWORD, second=who.code())
        tab.press("Sign in")

    ada.go("/chart")
    ada.press("Write down measurements")
    ada.fill(date="2026-11-20", systolic="1280", diastolic="82", pulse="64", weight="81,5")
    ada.press("Write it down")
    ada.says("Expected here: > 30, ≤ 350 mmHg")
    ada.fill(systolic="128")
    ada.press("Write it down")
    ada.press("Measurements")
    ada.says("128 mmHg")
    ada.press("Write the next one of this kind")
    ada.fill(systolic="141", diastolic="88", pulse="71")
    ada.press("Write it down")

    for form in terms.FORMS:
        doc.pass_by(f"/patients/{chart}/write/{form}")
        if form == "allergy":  # one whose fields are of every kind; the others are made alike
            doc.look()
        for name, value in WHOLE[form].items():
            field = doc.page.locator(f'main [name="{name}"]')
            if field.evaluate("one => one.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        with doc.page.expect_navigation(wait_until="networkidle"):
            doc.page.get_by_role("button", name="Write it down").click()
    condition = doc.page.get_by_role("link", name="Conditions", exact=True)
    condition.first.click()
    doc.look()
    doc.press("Correct it by a new version")
    doc.fill(note="Corrected")
    doc.press("Add the new version")
    doc.says("The new version is in the chart.")
    with doc.page.expect_navigation(wait_until="networkidle"):
        condition.first.click()
    doc.press("Hold it back for a while")
    doc.page.get_by_label("It would gravely harm the treatment").check()
    doc.fill(text="To be told in person")
    doc.press("Hold it back")
    sure(doc, doctor)
    doc.says("in force")
    doc.pass_by(f"/patients/{chart}/chart")
    doc.page.locator('form[action$="/overview"] button').click()
    doc.look()
    doc.says("Penicillin")
    doc.go(f"/patients/{chart}/chart?category=laboratory")
    doc.page.locator('form[action$="/trends"] button').first.click()
    doc.look()
    doc.says("↓ below")
    ada.go(f"/patients/{chart}/holds")
    ada.says("kept from you until")
    ada.go("/chart")
    ada.page.locator("details summary").click()
    ada.look()
    ada.page.locator('form[action$="/trends"] button').last.click()
    ada.look()
    ada.says("by the patient or family")
    ada.press("Deutsch")
    assert not ada.wrong + doc.wrong


def years_of(chart: str) -> Iterator[Upload]:
    """Records of eight years: laboratory values as FHIR, and notes of other kinds."""
    for n in range(24):
        when = f"{2018 + n // 3}-{1 + n % 3 * 4:02}-{1 + n:02}"
        entries = [
            {"resource": {
                "resourceType": "Observation", "status": "final", "code": {"text": name}, "effectiveDateTime": when,
                "valueQuantity": {"value": round(begin + (n * 7 % 11 - 5) * step, 2), "unit": unit},
                "referenceRange": [{"low": {"value": low}, "high": {"value": high}}],
            }}
            for name, begin, step, unit, low, high in (
                ("Haemoglobin", 13.2, 0.35, "g/dL", 12, 15.5), ("Creatinine", 0.9, 0.07, "mg/dL", 0.5, 1.1),
            )
        ]  # fmt: skip
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        yield Upload(
            chart, "laboratory", "application/fhir+json", [orjson.dumps(bundle)], clinical_date=when,
            title="Blood count",
        )  # fmt: skip
        for category in ("document", "imaging", "encounter", "procedure")[n % 4 :: 3]:
            yield Upload(chart, category, "text/plain", [b"A note."], clinical_date=when)
    yield Upload(chart, "summary", "text/plain", [b"A note."])


def sure(tab: Tab, who: Any) -> None:
    """Show a code where the page asks for one, and go on."""
    if tab.page.locator('form[action="/step-up"]').count():
        tab.fill(second=who.code())
        tab.press("Go on")
        tab.press("Do it now")


CREATE = """async options => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return (await navigator.credentials.create({publicKey})).toJSON();
}"""


def test_stepping_up_by_passkey(browser: Any, portal: Portal) -> None:
    """The page asks for the passkey, and what was to be done is done; without one it asks for a code alone."""
    ada = tab_of(browser, portal)
    patient = registered(ada, portal, "Ada Lind")
    portal.clock.ahead += 300_000
    ada.go("/step-up")
    assert not ada.page.locator("form[data-passkey]").count()
    devices = ada.page.context.new_cdp_session(ada.page)
    devices.send("WebAuthn.enable")
    authenticator = {
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = devices.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})
    session = good(portal.web.post("/v1/sessions", {
        "account": patient.account, "code": patient.code(), "password": PASSWORD, "role": "person",
    }))  # fmt: skip
    headers = bearer(session["token"])
    options = good(portal.web.post("/v1/me/passkeys/challenge", headers=headers))
    shown = {"credential": ada.page.evaluate(CREATE, options), "code": patient.code()}
    good(portal.web.post("/v1/me/passkeys", shown, headers=headers))  # every other session ends
    ada.go("/sign-in?then=/step-up")
    ada.fill(account=patient.account, password=PASSWORD, second=patient.code())
    ada.press("Sign in")
    ada.go("/step-up?then=/me")
    ada.press("Use a passkey")
    ada.says("For five minutes this session is sure of you.")
    ada.says("The second factor was shown once more")
    devices.send("WebAuthn.setUserVerified", {
        "authenticatorId": made["authenticatorId"], "isUserVerified": False,
    })  # fmt: skip
    ada.go("/step-up")
    ada.page.get_by_role("button", name="Use a passkey", exact=True).click()
    ada.page.get_by_text("The passkey was not shown.").wait_for()
    ada.look()
