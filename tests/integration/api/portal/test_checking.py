"""Checking in a real browser: what is true is called complete, and a server that lies is seen, whatever it lies about.

The liar stands between server and browser and answers in the server's place. The best of them holds the log's own key.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect, sync_playwright

from api.app.settings import Settings
from api.operator.logkeys import retire_keys, rotate_keys
from client.letters import fingerprint
from crypto.encoding import b64encode
from crypto.notes import Cosigner, LogSigner
from ledger.auditor import check_history_proof, check_receipt
from ledger.checkpoint import Checkpoint
from ledger.histories import history_text, read_history
from ledger.layout import HANDOVER_PARTS
from ledger.merkle import consistency_proof, inclusion_path, leaf_hash, range_hash
from ledger.receipt import Receipt
from ledger.witnesses import WitnessPolicy
from storage.ledger import Ledger
from tests.golden import make
from tests.golden.checks import tree
from tests.integration.api.portal.conftest import uploads
from tests.integration.api.portal.test_browser import Tab, tab_of
from tests.support.packages import program
from tests.support.portal import Pages, Portal, served_portal
from tests.support.sign_ins import PASSWORD
from tests.unit.ledger.test_hand_overs import Thief, own

Answer = Callable[[str, str], str]
"""What the liar answers: address and true body in, its own body out."""
PAGE = re.compile(r"/history(\?.*)?$")
PROOF = re.compile(r"/history/[0-9]+$")
CONSISTENCY = re.compile(r"/v1/log/consistency/")
HOUR_MS = 3_600_000
FORGET = """async () => new Promise((resolve, reject) => {
    const asked = indexedDB.deleteDatabase("heartwood-check");
    asked.onsuccess = resolve;
    asked.onerror = reject;
})"""
WITHOUT = """
const real = crypto.subtle.importKey.bind(crypto.subtle);
crypto.subtle.importKey = (...given) => given[2].name === "Ed25519"
    ? Promise.reject(new DOMException("Algorithm: Unrecognized name", "NotSupportedError")) : real(...given);
"""
DROP = """([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, {type: "text/plain"}));
    const place = document.querySelector("[data-part=drop]");
    for (const kind of ["dragover", "drop"]) place.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@dataclass
class Watcher:
    """A patient at a browser, and the chart whose history is looked at."""

    portal: Portal
    browser: Any
    ada: Pages
    chart: str
    tab: Tab = field(init=False)

    def __post_init__(self) -> None:
        """Sign in, and see the log for the first time."""
        self.tab = tab_of(self.browser, self.portal)
        self.tab.page.goto(f"{self.tab.site}/sign-in")
        self.tab.fill(account=self.ada.account, password=PASSWORD, second=self.ada.code())
        with self.tab.page.expect_navigation():
            self.tab.page.get_by_role("button", name="Sign in", exact=True).click()
        self.look()

    @property
    def ledger(self) -> Ledger:
        return self.portal.fixture.ledger

    def part(self, name: str) -> Any:
        return self.tab.page.locator(f"[data-part={name}]")

    def look(self, query: str = "") -> None:
        """Open the history, and wait for the verdict."""
        self.tab.page.goto(f"{self.tab.site}/patients/{self.chart}/history{query}")
        self.ended()

    def press(self, name: str) -> None:
        """Press a button that leads to the history again."""
        with self.tab.page.expect_navigation():
            self.tab.page.get_by_role("button", name=name, exact=True).click()
        self.ended()

    def ended(self) -> None:
        expect(self.part("seal")).to_have_class(re.compile("good|open"))

    def good(self, title: str) -> str:
        """The check is good and says so; gives what was checked and what was not."""
        assert not self.tab.wrong, self.tab.wrong
        expect(self.part("title")).to_contain_text(title)
        expect(self.part("alarm")).to_be_hidden()
        self.part("details").evaluate("one => one.open = true")
        return str(self.part("details").inner_text())

    def bad(self, title: str) -> None:
        """The banner says what is wrong, nothing says that it is good, and no key or click takes it away."""
        alarm = self.part("alarm")
        expect(alarm).to_contain_text(title)
        expect(self.part("title")).to_have_text("Not checked by this browser")
        assert "Complete" not in self.tab.page.locator("main").inner_text()
        self.tab.page.keyboard.press("Escape")
        alarm.click(position={"x": 5, "y": 5})
        expect(alarm).to_be_visible()
        assert alarm.get_by_role("button").all_inner_texts() == ["Keep the evidence"]

    @contextmanager
    def lied_to(self, lies: Mapping[re.Pattern[str], Answer]) -> Iterator[None]:
        """The server's answers from these addresses are altered."""
        for address, lie in lies.items():
            self.tab.page.route(address, _liar(lie))
        try:
            yield
        finally:
            self.tab.page.unroute_all()


def _liar(lie: Answer) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        true = route.fetch()
        status = 200 if CONSISTENCY.search(route.request.url) else true.status
        route.fulfill(response=true, status=status, body=lie(route.request.url, true.text()))

    return answer


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    """One patient with some acts on the chart, at one browser."""
    path = program("chromium", "chromium")
    with (
        served_portal(Settings(data=tmp_path_factory.mktemp("checking") / "data")) as portal,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        ada = portal.somebody().registers()
        chart = ada.opens_chart()
        uploads(
            ada, chart, title="Blood count", note="Haemoglobin 13.9 g/dl", category="laboratory"
        )
        doctor = portal.with_key(portal.fixture.doctor())
        doctor.signs_in()
        assert doctor.ask("GET", f"/patients/{chart}/chart").status_code == 403
        yield Watcher(portal, browser, ada, chart)
        browser.close()


@pytest.fixture(autouse=True)
def nothing_wrong(request: pytest.FixtureRequest) -> Iterator[None]:
    """No script fails, and the content policy stops nothing, also where the server lies."""
    yield
    if "watcher" in request.fixturenames:
        found: Watcher = request.getfixturevalue("watcher")
        wrong, found.tab.wrong[:] = list(found.tab.wrong), []
        assert not wrong


# What is true.


def test_a_history_is_complete(watcher: Watcher, tmp_path: Path) -> None:
    """Said with its number and time, with what was checked and what was not; the check leaves no entry of its own."""
    before = watcher.ledger.head().size
    watcher.look()
    assert watcher.ledger.head().size == before + 1
    count = len(watcher.ledger.stream(f"patient/{watcher.chart}", before + 1))
    told = watcher.good(f"Complete: {count} entries, up to ")
    for words in (
        f"Each of the {count} entries holds the hash", f"Entry {before} is in the log of {before + 1} entries",
        "What this page lists is what those entries say", "continues the one of", "has no witnesses",
        "ML-DSA-44", "The signatures of those who acted", "Names and what people wrote", "This script itself",
    ):  # fmt: skip
        assert words in told, (words, told)
    keys = [str(key) for key in watcher.ledger.vkeys]
    assert fingerprint(keys) in watcher.part("print").inner_text()
    with watcher.tab.page.expect_download() as download:
        watcher.part("keep").click()
    kept = tmp_path / download.value.suggested_filename
    download.value.save_as(kept)
    assert len(check_history_proof(kept.read_bytes(), keys).entries) == count
    watcher.tab.wrong.clear()
    watcher.tab.look()


@pytest.mark.parametrize("only", ["others", "read", "refused", "asked", "consent"])
def test_a_part_of_it_is_checked_too(watcher: Watcher, only: str) -> None:
    """Each filter shows exactly the entries that fit it."""
    watcher.look(f"?only={only}")
    watcher.good("Complete: ")


def test_further_pages_are_checked(watcher: Watcher) -> None:
    """The second page of a long history, and the whole of the first."""
    while len(watcher.ledger.stream(f"patient/{watcher.chart}", 1 << 40)) < 55:
        watcher.ada.open(f"/patients/{watcher.chart}/chart")
    watcher.look()
    watcher.good("Complete: ")
    watcher.look("?p=2")
    watcher.good("Complete: ")


def test_a_browser_that_forgot_starts_anew(watcher: Watcher) -> None:
    """And says so; the next time it compares, and knows the key."""
    watcher.tab.page.evaluate(FORGET)
    watcher.look()
    assert "it starts anew" in watcher.good("Complete: ")
    assert "came from this service" in watcher.part("line").inner_text()
    watcher.look()
    assert "continues the one of" in watcher.good("Complete: ")
    assert "has known since" in watcher.part("line").inner_text()


def test_in_german(watcher: Watcher) -> None:
    watcher.press("Deutsch")
    watcher.good("Vollständig: ")
    watcher.tab.look()
    watcher.press("English")
    watcher.good("Complete: ")


def test_a_browser_without_ed25519_says_so(watcher: Watcher) -> None:
    """It calls nothing checked, and raises no alarm."""
    other = watcher.tab.page.context.new_page()
    other.add_init_script(WITHOUT)
    other.goto(f"{watcher.tab.site}/patients/{watcher.chart}/history")
    expect(other.locator("[data-part=line]")).to_contain_text("can’t check Ed25519")
    expect(other.locator("[data-part=title]")).to_have_text("Not checked by this browser")
    expect(other.locator("[data-part=alarm]")).to_be_hidden()
    other.close()


def test_without_a_script_the_page_names_the_command(watcher: Watcher) -> None:
    state = watcher.tab.page.context.storage_state()
    plain = watcher.browser.new_context(java_script_enabled=False, storage_state=state).new_page()
    plain.goto(f"{watcher.tab.site}/patients/{watcher.chart}/history")
    said = plain.locator("main").inner_text()
    assert "Not checked by this browser" in said and "heartwood history --prove FILE" in said
    plain.goto(f"{watcher.tab.site}/check")
    assert "heartwood check FILE --vkey KEYS" in plain.locator("noscript").inner_text()
    expect(plain.locator("[data-part=check]")).to_be_hidden()
    plain.context.close()


def test_witnesses_are_named(watcher: Watcher) -> None:
    """Where the log has some: whose cosignatures fit, and of how much of the log; too few are seen."""
    witness = Cosigner("witness.example/a", bytes(32), bytes(range(32)))
    policy = WitnessPolicy(witnesses={"a": witness.keys[0]}, quorum="a")
    text = policy.text(str(watcher.ledger.vkeys[0])).decode()

    def named(_: str, page: str) -> str:
        return re.sub(r'data-policy="[^"]*"', f'data-policy="{text}"', page)

    note = watcher.ledger.checkpoint()
    lines = witness.cosign(note.rpartition(b"\n\n")[0] + b"\n", 1_795_159_450)
    cosigned = re.compile("/v1/log/cosigned")
    with watcher.lied_to({PAGE: named}):
        watcher.tab.page.route(cosigned, lambda one: one.fulfill(body=note + lines))
        watcher.look()
        assert "Witnesses saw the same log" in watcher.good("Complete: ")
        watcher.tab.page.route(cosigned, lambda one: one.fulfill(status=404))
        watcher.look()
        assert "witnesses haven’t signed yet" in watcher.good("Complete: ")
        watcher.tab.page.route(cosigned, lambda one: one.fulfill(body=note))
        watcher.look()
        watcher.bad("The witnesses that its policy demands haven’t signed the log.")


# Lies.


def told(change: Callable[[list[bytes], bytes], tuple[list[bytes], bytes]]) -> Answer:
    """A lie about the proof."""

    def answer(_: str, true: str) -> str:
        return history_text(*change(*read_history(true.encode())))

    return answer


def altered(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


PROOF_LIES: dict[str, tuple[Any, str]] = {
    "drops an entry": (lambda e, r: ([*e[:1], *e[2:]], r), "An entry of this history is missing"),
    "drops the first": (lambda e, r: (e[1:], r), "An entry of this history is missing"),
    "cuts off the last": (lambda e, r: (e[:-1], r), "An entry of this history is missing"),
    "alters an entry": (
        lambda e, r: ([e[0], altered(e[1], b'"laboratory"', b'"imaging"'), *e[2:]], r),
        "An entry of this history is missing, or was altered",
    ),
    "swaps two": (lambda e, r: ([e[0], e[2], e[1], *e[3:]], r), "An entry of this history is missing"),
    "another root": (
        lambda e, r: (e, re.sub(rb"(\n[0-9]+\n)[A-Za-z0-9+/]{4}", rb"\1AAAA", r, count=1)),
        "The log’s signature doesn’t fit",
    ),
    "another path": (
        lambda e, r: (e, re.sub(rb"(\nindex [0-9]+\n)[A-Za-z0-9+/]{4}", rb"\1AAAA", r)),
        "The log doesn’t hold what this browser was sent",
    ),
    "no signature": (
        lambda e, r: (e, re.sub(rb"\n\xe2\x80\x94 .*\n(?=\xe2)", b"\n", r)),
        "The log’s signature doesn’t fit",
    ),
    "another log": (
        lambda e, r: (e, (make.HERE / "receipt.tlog-proof").read_bytes()),
        "The log’s signature doesn’t fit",
    ),
    "nonsense": (lambda e, r: ([b"{}"], b"x"), "What this browser got is no proof"),
}  # fmt: skip


@pytest.mark.parametrize("lie", PROOF_LIES)
def test_a_lie_about_the_proof_is_seen(watcher: Watcher, lie: str) -> None:
    change, title = PROOF_LIES[lie]
    with watcher.lied_to({PROOF: told(change)}):
        watcher.look()
        watcher.bad(title)
    watcher.look()
    watcher.good("Complete: ")


@pytest.mark.parametrize("whose", ["an earlier look", "another chart"])
def test_the_true_proof_of_something_else_is_seen(watcher: Watcher, whose: str) -> None:
    """Each of its entries stands in the log, and none is missing: it isn't what was asked for."""
    ledger = watcher.ledger
    bob = watcher.portal.somebody().registers("Bob Ost")
    other = bob.opens_chart("Bob Ost")
    bob.open(f"/patients/{other}/history")
    theirs = [one.raw for one in ledger.stream(f"patient/{other}", 1 << 40)]

    def answer(_: str, true: str) -> str:
        own, _receipt = read_history(true.encode())
        entries = theirs if whose == "another chart" else own[:-1]
        text = ledger.receipt(json.loads(entries[-1])["seq"])[0].text()
        proof = history_text(entries, text)
        check_history_proof(proof.encode(), [str(key) for key in ledger.vkeys])
        return proof

    def page(_: str, true: str) -> str:
        seq = json.loads(theirs[-1])["seq"]
        return re.sub(r'data-seq="[0-9]+"', f'data-seq="{seq}"', true)

    lies: dict[re.Pattern[str], Answer] = {PROOF: answer}
    if whose == "another chart":
        lies[PAGE] = page
    with watcher.lied_to(lies):
        watcher.look()
        watcher.bad("An entry of this history is missing, or was altered.")
        expect(watcher.part("detail")).to_contain_text("the history ")


ACT = re.compile(r"<li data-act=.*?</li>", re.S)
PAGE_LIES: dict[str, Callable[[str], str]] = {
    "leaves out an act": lambda page: ACT.sub("", page, count=1),
    "leaves out the oldest act": lambda page: page.replace(ACT.findall(page)[-1], ""),
    "adds an act": lambda page: ACT.sub(lambda found: found[0] * 2, page, count=1),
    "adds an act at the end": lambda page: page.replace(
        ACT.findall(page)[-1], ACT.findall(page)[-1] * 2
    ),
    "another account": lambda page: re.sub(
        r'(data-act="[0-9]+ [a-z.]+) ac_[0-9a-z]+', r"\1 ac_00000000000000000000000000", page, count=1
    ),
    "another time": lambda page: re.sub(r'(<li data-act.*?datetime="20)..', r"\g<1>31", page, count=1, flags=re.S),
    "permitted where it was refused": lambda page: page.replace(" deny S", " permit S", 1),
}  # fmt: skip


@pytest.mark.parametrize("lie", PAGE_LIES)
def test_a_page_that_lists_something_else_is_seen(watcher: Watcher, lie: str) -> None:
    with watcher.lied_to({PAGE: lambda _, page: PAGE_LIES[lie](page)}):
        watcher.look("?only=refused" if "refused" in lie else "")
        watcher.bad("This page doesn’t list what the log holds")


@dataclass
class SecondFace:
    """Another log of the same operator, who signs it with the log's true key: in it, one earlier entry is another one."""

    ledger: Ledger
    changed: int = 0
    signer: LogSigner | None = None
    """Another's key, in place of the log's own."""

    def tree(self, size: int) -> Callable[[int, int], bytes]:
        leaves = list[bytes]()
        for number in range(-(-size // 256)):
            width = min(256, size - 256 * number)
            tile = self.ledger.tile(0, number, width)
            leaves += [tile[at : at + 32] for at in range(0, len(tile), 32)]
        leaves[self.changed] = leaf_hash(b"another entry")
        return tree(leaves)

    def proof(self, _: str, true: str) -> str:
        """The true entries, under a signed checkpoint of the other log."""
        entries, text = read_history(true.encode())
        index = Receipt.parse(text).index
        size = index + 1
        node, ledger = self.tree(size), self.ledger
        checkpoint = Checkpoint(ledger.origin, size, range_hash(0, size, node))
        if self.signer is None:
            note = ledger.log._signers.sign(ledger.vkeys, checkpoint, 1_795_159_450)
        else:
            note = self.signer.sign(checkpoint, 1_795_159_450)
        path = tuple(inclusion_path(index, size, node))
        return history_text(entries, Receipt(entries[-1], index, path, note).text())

    def consistency(self, url: str, _: str) -> str:
        """A proof of the other log: the best that such an operator can give."""
        old, new = map(int, url.split("/")[-2:])
        proof = consistency_proof(old, new, self.tree(new))
        return json.dumps({"proof": [b64encode(one) for one in proof]})


@pytest.mark.parametrize("proves", [True, False], ids=["with its own proof", "with the true one"])
def test_a_second_face_is_seen(watcher: Watcher, proves: bool) -> None:
    """Every signature fits and no entry of the chart is missing: only what this browser saw before gives it away."""
    watcher.look()
    other = SecondFace(watcher.ledger)
    lies: dict[re.Pattern[str], Answer] = {PROOF: other.proof}
    if proves:
        lies[CONSISTENCY] = other.consistency
    with watcher.lied_to(lies):
        watcher.look()
        watcher.bad("The log of today doesn’t continue the one that was shown before.")
        watcher.tab.look()
        watcher.tab.page.evaluate(FORGET)
        watcher.look()  # a browser that saw nothing before can't tell, and says what it can't
        assert "it starts anew" in watcher.good("Complete: ")
    watcher.look()
    watcher.bad("The log of today doesn’t continue the one that was shown before.")
    watcher.tab.page.evaluate(FORGET)
    watcher.look()
    watcher.good("Complete: ")


def test_an_old_state_is_seen(watcher: Watcher) -> None:
    """A page and its proof of an hour ago, which were true then."""
    kept: dict[str, str] = {}

    def keeps(url: str, true: str) -> str:
        return kept.setdefault("proof" if PROOF.search(url) else "page", true)

    lies: dict[re.Pattern[str], Answer] = {PAGE: keeps, PROOF: keeps}
    with watcher.lied_to(lies):
        watcher.look()
        watcher.good("Complete: ")
    watcher.portal.clock.ahead += HOUR_MS
    watcher.__post_init__()  # the session ended meanwhile
    other = watcher.tab.page
    before = {PAGE: lambda _, true: kept["page"], PROOF: lambda _, true: kept["proof"]}
    watcher.look()
    with watcher.lied_to(before):
        other.route(PROOF, lambda route: route.fulfill(body=kept["proof"]))
        watcher.look()
        watcher.bad("This is an old state of the log.")


def test_a_log_cut_short_is_seen(watcher: Watcher) -> None:
    """What this browser saw last is longer than the log that is served: it has no proof of it."""
    watcher.tab.page.evaluate(
        """async origin => {
        const checking = await import("/static/checking.js"), seen = await checking.lastSeen(origin);
        const opened = await new Promise(resolve => {
            const asked = indexedDB.open("heartwood-check", 1);
            asked.onsuccess = () => resolve(asked.result);
        });
        const put = opened.transaction("logs", "readwrite").objectStore("logs").put({...seen, size: seen.size + 1000});
        await new Promise(resolve => { put.onsuccess = resolve; });
        opened.close();
    }""",
        watcher.ledger.origin,
    )
    watcher.look()
    watcher.bad("The log of today doesn’t continue the one that was shown before.")
    watcher.tab.page.evaluate(FORGET)


def test_a_proof_that_is_kept_back_is_seen(watcher: Watcher) -> None:
    with watcher.lied_to({}):
        watcher.tab.page.route(PROOF, lambda route: route.fulfill(status=404, body="no"))
        watcher.look()
        watcher.bad("The proof could not be fetched.")


def test_the_evidence_can_be_kept(watcher: Watcher) -> None:
    """What the browser was sent, what it had seen before, and what was wrong."""
    change, _ = PROOF_LIES["drops an entry"]
    watcher.look()
    with watcher.lied_to({PROOF: told(change)}):
        watcher.look()
        with watcher.tab.page.expect_download() as download:
            watcher.part("evidence").click()
    kept = json.loads(Path(download.value.path()).read_text())
    assert kept["code"] == "chain" and kept["listed"] and kept["seen"]["size"]
    assert kept["proof"].startswith("{")
    watcher.tab.wrong.clear()


# Receipts.


@pytest.fixture
def checker(watcher: Watcher) -> Iterator[Watcher]:
    """The page for receipts, of somebody who is not signed in."""
    tab = watcher.tab
    watcher.tab = tab_of(watcher.browser, watcher.portal)
    watcher.tab.page.goto(f"{watcher.tab.site}/check")
    yield watcher
    watcher.tab.page.context.close()
    watcher.tab = tab


def receipt(watcher: Watcher, kind: str = "record.uploaded") -> str:
    """That of an entry of the chart."""
    stream = watcher.ledger.stream(f"patient/{watcher.chart}", 1 << 40)
    seq = next(one.link.seq for one in stream if one.event.type.name == kind)
    return watcher.ledger.receipt(seq)[0].text().decode()


def pasted(checker: Watcher, text: str) -> None:
    checker.part("paste").fill(text)
    checker.part("go").click()
    checker.ended()


def test_a_receipt_is_checked(checker: Watcher) -> None:
    """What it says, in words; that the log of today still holds it; without an account."""
    text = receipt(checker)
    found = check_receipt(text.encode(), [str(key) for key in checker.ledger.vkeys])
    pasted(checker, text)
    told = checker.good(f"It holds: entry {found.index} stands in the log {checker.ledger.origin}")
    assert "continues the one that the receipt was made under" in told and "it starts anew" in told
    facts = checker.part("facts").inner_text()
    for words in (
        f"{found.index}",
        "added a record (record.uploaded)",
        checker.ada.account,
        checker.chart,
        checker.ledger.origin,
    ):
        assert words in facts, (words, facts)
    checker.tab.look()


def test_the_receipt_of_a_refusal_says_what_was_tried(checker: Watcher) -> None:
    pasted(checker, receipt(checker, "access.refused"))
    checker.good("It holds: ")
    assert (
        "tried, and was refused: looked at the list of records"
        in checker.part("facts").inner_text()
    )


def test_a_receipt_is_dropped_or_chosen(checker: Watcher, tmp_path: Path) -> None:
    text = receipt(checker)
    checker.tab.page.evaluate(DROP, ["a.tlog-proof", text])
    checker.ended()
    checker.good("It holds: ")
    file = tmp_path / "b.tlog-proof"
    file.write_text(receipt(checker, "patient.registered"))
    checker.part("file").set_input_files(str(file))
    checker.part("facts").get_by_text("patient.registered").wait_for()
    checker.good("It holds: ")


def test_the_proof_of_a_history_is_checked_there_too(checker: Watcher) -> None:
    stream = checker.ledger.stream(f"patient/{checker.chart}", 1 << 40)
    last = checker.ledger.receipt(stream[-1].link.seq)[0].text()
    pasted(checker, history_text([one.raw for one in stream], last))
    checker.good(f"Complete: {len(stream)} entries")
    pasted(checker, history_text([one.raw for one in stream[1:]], last))
    checker.bad("An entry of this history is missing, or was altered.")


RECEIPT_LIES: dict[str, tuple[Callable[[str], str], str]] = {
    "another number": (lambda text: re.sub(r"\nindex [0-9]+", "\nindex 0", text), "The log doesn’t hold what this browser was sent."),
    "another size": (lambda text: re.sub(r"\n\n(.*)\n[0-9]+\n", "\n\n\\1\n9\n", text), "The log’s signature doesn’t fit."),
    "a hash too few": (lambda text: re.sub(r"(\nindex [0-9]+)\n.*", r"\1", text), "The log doesn’t hold what this browser was sent."),
}  # fmt: skip


@pytest.mark.parametrize("lie", RECEIPT_LIES)
def test_a_forged_receipt_is_seen(checker: Watcher, lie: str) -> None:
    change, title = RECEIPT_LIES[lie]
    true = receipt(checker)
    assert change(true) != true
    pasted(checker, change(true))
    checker.bad(title)
    expect(checker.part("facts")).to_be_hidden()


def test_a_receipt_of_a_second_face_is_seen(checker: Watcher) -> None:
    """It is signed by the log's key, and the log of today does not continue it."""
    other = SecondFace(checker.ledger)
    stream = checker.ledger.stream(f"patient/{checker.chart}", 1 << 40)
    true = history_text([stream[-1].raw], checker.ledger.receipt(stream[-1].link.seq)[0].text())
    forged = json.loads(other.proof("", true))["receipt"]
    check_receipt(forged.encode(), [str(key) for key in checker.ledger.vkeys])
    pasted(checker, forged)
    checker.bad("The log of today doesn’t continue the one that was shown before.")


def test_a_receipt_by_a_strangers_key_is_seen(checker: Watcher) -> None:
    """Of a made-up log under the true name: nothing but the log of today could vouch for it, and doesn't."""
    other = SecondFace(
        checker.ledger, signer=LogSigner(checker.ledger.origin, bytes(32), bytes(32))
    )
    stream = checker.ledger.stream(f"patient/{checker.chart}", 1 << 40)
    true = history_text([stream[-1].raw], checker.ledger.receipt(stream[-1].link.seq)[0].text())
    pasted(checker, json.loads(other.proof("", true))["receipt"])
    checker.bad("The log of today doesn’t continue the one that was shown before.")


def test_a_receipt_of_another_log_needs_its_keys(checker: Watcher) -> None:
    """Given these, it is checked as far as it goes: no other service is asked."""
    text = (make.HERE / "receipt.tlog-proof").read_text()
    pasted(checker, text)
    expect(checker.part("line")).to_have_text("It is of another log: give that log’s verifier key.")
    expect(checker.part("alarm")).to_be_hidden()
    checker.part("keys").fill((make.HERE / "log.vkey").read_text())
    pasted(checker, text)
    told = checker.good("It holds: entry 3 stands in the log log.example/golden")
    assert (
        "this page asks no other service" in told
        and "By the keys that you gave." in checker.part("line").inner_text()
    )
    checker.part("policy").fill("quorum none")
    pasted(checker, text)
    checker.good("It holds: ")
    checker.part("keys").fill("no key")
    pasted(checker, text)
    expect(checker.part("line")).to_contain_text("The verifier keys can’t be used")


def test_what_is_no_receipt_raises_no_alarm(checker: Watcher) -> None:
    """Whoever chose the wrong file is told so."""
    pasted(checker, "hello")
    expect(checker.part("line")).to_have_text("This is no receipt, and no proof of a history.")
    expect(checker.part("alarm")).to_be_hidden()
    checker.tab.look()


# Hand-overs: last, since the log goes on with other keys.


def test_a_browser_follows_the_keys(watcher: Watcher) -> None:
    """The operator hands over to new keys: a browser that knew the old ones comes to them, and a thief's are not followed."""
    fixture, old = watcher.portal.fixture, receipt(watcher)
    watcher.look()
    watcher.good("Complete: ")
    rotate_keys(fixture.settings, fixture.ledger, fixture.operator)
    retire_keys(fixture.settings, fixture.ledger, fixture.operator)
    handovers = re.compile("/v1/log/handovers")
    with watcher.lied_to({handovers: lambda _, true: json.dumps({"handovers": []})}):
        watcher.look()
        watcher.bad("The log’s signature doesn’t fit.")
    thief = Thief()
    parts = [one.decode() for one in own(thief).parts()]
    made_up = {"handovers": [dict(zip(HANDOVER_PARTS, parts, strict=True))]}
    with watcher.lied_to({handovers: lambda _, true: json.dumps(made_up)}):
        watcher.look()
        watcher.bad("The log’s signature doesn’t fit.")

    def cut(_: str, true: str) -> str:
        found = json.loads(true)
        found["handovers"][0]["first"] = found["handovers"][0]["added"]
        return json.dumps(found)

    with watcher.lied_to({handovers: cut}):
        watcher.look()
        watcher.bad("The log shows new keys that its operator’s key didn’t hand over to.")
    watcher.look()
    watcher.good("Complete: ")
    assert "By a new key of the log" in watcher.part("line").inner_text()
    assert (
        fingerprint([str(key) for key in fixture.ledger.vkeys])
        in watcher.part("print").inner_text()
    )
    watcher.look()
    watcher.good("Complete: ")
    assert "has known since" in watcher.part("line").inner_text()
    watcher.tab.page.goto(f"{watcher.tab.site}/check")
    pasted(watcher, old)
    assert "which isn’t by the present keys of the log" in watcher.good("It holds: ")
