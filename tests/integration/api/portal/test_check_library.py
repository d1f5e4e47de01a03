"""`heartwood-check.js` in a real browser, from a page of nobody's: it judges every shared vector as this project's Python does."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from api.portal.pages import assets
from client.letters import fingerprint
from crypto.encoding import b64encode
from crypto.notes import VerifierKey
from crypto.signing import SigningKey
from ledger.chain import Link
from ledger.entry import Entry
from ledger.errors import ProofError
from ledger.handovers import HandOver
from ledger.layout import HANDOVER_PARTS
from ledger.merkle import leaf_hash
from tests.golden import make
from tests.golden.make import HERE
from tests.support.packages import program
from tests.unit.ledger.test_hand_overs import FRESH, MADE_UP, Thief, next_keys, own

LIBRARY = "heartwood-check.js"
ELSEWHERE = "http://localhost/elsewhere/"
"""Where the file is hosted; `localhost` is as good as https to a browser."""
JUDGE = """async ([library, rows]) => {
    const h = await import(library), out = {};
    const b64 = h.fromBase64, policyOf = async text => text ? h.parsePolicy(text) : undefined;
    const hex = data => [...data].map(one => one.toString(16).padStart(2, "0")).join("");
    const same = (one, other) => { if (h.toBase64(one) !== other) throw new h.CheckError("root", ""); };
    const expect = good => { if (!good) throw new Error("another answer"); };
    const kinds = {
        leaf: async g => expect(hex(await h.leafHash(g.data)) === g.hash),
        node: async g => expect(hex(await h.nodeHash(h.bytesOf(g.left), h.bytesOf(g.right))) === g.hash),
        inclusion: async g => same(await h.rootFromPath(g.index, g.size, await h.leafHash(g.entry), g.path.map(one => b64(one))), g.root),
        consistency: g => h.checkConsistency(g.old, b64(g.old_root), g.new, b64(g.new_root), g.proof.map(one => b64(one))),
        checkpoint: async g => h.openCheckpoint(g.note, await h.parseKeys(g.keys)),
        policy: async g => {
            const found = await h.checkQuorum(g.note, await h.parsePolicy(g.policy), await h.parseKeys(g.keys));
            expect(found.signed.join() === g.signed.join());
        },
        receipt: async g => h.checkReceipt(g.receipt, await h.parseKeys(g.keys), await policyOf(g.policy)),
        history: async g => {
            const { entries, receipt } = h.parseHistory(g.proof);
            await h.checkHistory(entries, receipt, await h.parseKeys(g.keys), await policyOf(g.policy));
        },
    };
    for (const { name, kind, given } of rows) {
        try {
            await kinds[kind](given);
            out[name] = "";
        } catch (error) {
            out[name] = error instanceof h.CheckError ? error.code : `${error}`;
        }
    }
    return out;
}"""
GOLDEN = """async ([library, receipt, keys]) => {
    const h = await import(library), found = await h.checkReceipt(receipt, await h.parseKeys(keys));
    const kinds = list => list.map(key => key.kind);
    const { size, checked, unchecked } = found.checkpoint;
    return [found.index, size, kinds(checked), kinds(unchecked), await h.fingerprint(keys[0]), await h.supportsEd25519()];
}"""
WITHOUT = """async ([library, receipt, keys]) => {
    const h = await import(library), real = crypto.subtle.importKey.bind(crypto.subtle);
    crypto.subtle.importKey = (...given) => given[2].name === "Ed25519"
        ? Promise.reject(new DOMException("Algorithm: Unrecognized name", "NotSupportedError")) : real(...given);
    const supported = await h.supportsEd25519();
    try {
        await h.checkReceipt(receipt, await h.parseKeys(keys));
        return [supported, "good"];
    } catch (error) {
        return [supported, error.code];
    } finally {
        delete crypto.subtle.importKey;
    }
}"""
HANDOVER = """async ([library, cases]) => {
    const h = await import(library), out = [];
    for (const [parts, keys] of cases) {
        try {
            out.push((await h.followHandover(parts, await h.parseKeys(keys))).keys.map(key => key.text));
        } catch (error) {
            out.push(error instanceof h.CheckError ? error.code : `${error}`);
        }
    }
    return out;
}"""
DOCS = Path(__file__).parents[4] / "docs" / "check-library.md"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Page]:
    """An empty page beside the library, on a host that is no server of ours."""

    def answer(route: Route) -> None:
        if route.request.url.endswith(LIBRARY):
            route.fulfill(body=assets()[LIBRARY], content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>elsewhere</title>", content_type="text/html")

    with sync_playwright() as playwright:
        path = program("chromium", "chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto(ELSEWHERE)
        yield page
        browser.close()


def test_the_library_judges_every_vector(elsewhere: Page) -> None:
    """What holds, holds; what doesn't is refused for the reason that the vector names."""
    rows: list[dict[str, Any]] = json.loads((HERE / "check.json").read_bytes())["vectors"]
    found = elsewhere.evaluate(JUDGE, [ELSEWHERE + LIBRARY, rows])
    assert found == {row["name"]: row["code"] for row in rows}


def test_what_a_browser_cannot_check_is_said(elsewhere: Page) -> None:
    """A receipt under both of the log's signatures: Ed25519 is checked, ML-DSA-44 is named as not checked."""
    receipt = (HERE / "receipt.tlog-proof").read_text()
    keys = (HERE / "log.vkey").read_text().splitlines()
    found = elsewhere.evaluate(GOLDEN, [ELSEWHERE + LIBRARY, receipt, keys])
    assert found == [3, 7, [1], [6], fingerprint(keys), True]


def test_a_browser_without_ed25519_is_told(elsewhere: Page) -> None:
    """Nothing counts as checked there."""
    receipt = (HERE / "receipt.tlog-proof").read_text()
    keys = (HERE / "log.vkey").read_text().splitlines()
    found = elsewhere.evaluate(WITHOUT, [ELSEWHERE + LIBRARY, receipt, keys])
    assert found == [False, "unsupported"]


def handed(made: HandOver, keys: Sequence[VerifierKey]) -> list[Any]:
    """A hand-over as the library takes it, and the keys that it is followed from."""
    parts = [one.decode() for one in made.parts()]
    return [dict(zip(HANDOVER_PARTS, parts, strict=True)), [str(key) for key in keys]]


def by_a_forged_signature(thief: Thief) -> HandOver:
    """The entry names the operator's key, and another key signed it."""
    forger = SigningKey(bytes(32))
    event = thief.log.event(
        thief.operator, "log_key.added", {"log_keys": [str(key) for key in FRESH]}
    )
    sig = replace(thief.log.sign(thief.operator.holding(forger), event), key=thief.operator.key.id)
    link = Link(len(thief.log.entries), leaf_hash(thief.log.entries[-1].raw), 0, bytes(32))
    thief.log.batch.entries.append(Entry.make(event, sig, link, thief.log.now, None))
    return thief.shown(link.seq, (0,))


def of_somebody_else(thief: Thief) -> HandOver:
    """The operator put in a key, for an account that isn't theirs."""
    other = thief.log.account().holding(thief.log.new_key())
    put = thief.put_key(thief.operator.acting("person"), other)
    return thief.hand_over(thief.operator.holding(other.key), put)


FORGED = [*MADE_UP, by_a_forged_signature, of_somebody_else]


@pytest.mark.parametrize("make", FORGED[-2:])
def test_python_follows_none_of_these_either(make: Callable[[Thief], HandOver]) -> None:
    thief = Thief()
    with pytest.raises(ProofError):
        make(thief).follow(thief.log.signer.keys)


def test_hand_overs_are_the_operators(elsewhere: Page) -> None:
    """Those that the operator makes are followed; whoever has only the log's own keys can make none."""
    cases, bundled = [], Thief()
    for hand in (own, next_keys, *FORGED):
        thief = Thief()
        cases.append(handed(hand(thief), thief.log.signer.keys))
    cases.append(handed(own(bundled), FRESH))
    found = elsewhere.evaluate(HANDOVER, [ELSEWHERE + LIBRARY, cases])
    good = [str(key) for key in FRESH]
    assert found[:2] == [good, good] and found[-1] == "unsigned"
    assert {str(one) for one in found[2:-1]} <= {"handover", "signature"}, found


def test_the_author_of_a_bundles_event_is_found(elsewhere: Page) -> None:
    """By the path to what was signed; another origin, key or event has another signature."""
    key = b64encode(make.KEYS["doctor"].public)
    lines = [json.loads(line) for line in (HERE / "bundle.jsonl").read_text().splitlines()]
    lines.append(
        {
            "event": json.loads((HERE / "events/record.uploaded.v1.json").read_bytes()),
            "sig": lines[0]["sig"],
        }
    )
    entry = json.loads((HERE / "entry.json").read_bytes())
    cases = [[one, make.ORIGIN, key] for one in [*lines, entry]]
    cases += [
        [entry, "log.example/other", key],
        [entry, make.ORIGIN, b64encode(make.KEYS["patient"].public)],
    ]
    found = elsewhere.evaluate(
        """async ([library, cases]) => {
            const h = await import(library), out = [];
            for (const [value, origin, key] of cases) {
                out.push(await h.checkAuthor(value, origin, h.fromBase64(key)).then(() => "", error => error.code));
            }
            return out;
        }""",
        [ELSEWHERE + LIBRARY, cases],
    )
    assert found == [""] * 5 + ["signature", "", "signature", "signature"]


def test_the_example_of_the_docs_runs(elsewhere: Page) -> None:
    """With a receipt and keys, as it stands there."""
    (example,) = re.findall(r"```js\n(.*?)```", DOCS.read_text(), re.S)
    body = re.sub(r"import (\{.*?\}) from .*;", r"const \1 = await import(library);", example)
    receipt = (HERE / "receipt.tlog-proof").read_text()
    keys = (HERE / "log.vkey").read_text().splitlines()
    run = f"async ([library, receipt, vkeys]) => {{ {body} }}"
    found = elsewhere.evaluate(run, [ELSEWHERE + LIBRARY, receipt, keys])
    assert found == "entry 3 of log.example/golden: record.uploaded; not checked: 1 signature"
    forged = receipt.replace("\n7\n", "\n8\n")
    found = elsewhere.evaluate(run, [ELSEWHERE + LIBRARY, forged, keys])
    assert found.startswith("signature: ")


def test_the_docs_name_everything(elsewhere: Page) -> None:
    """Each function and constant that the library exports, and each code of its errors."""
    text = DOCS.read_text()
    exported = elsewhere.evaluate(
        "async library => Object.keys(await import(library))", ELSEWHERE + LIBRARY
    )
    assert not [name for name in exported if f"`{name}" not in text]
    codes = set(re.findall(r'refuse\("([a-z]+)"', assets()[LIBRARY].decode()))
    assert codes == set(re.findall(r"^\| `([a-z]+)` \|", text, re.M))
