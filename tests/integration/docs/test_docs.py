"""Docs are true: the README's tour runs, its demo is the demo's, commands and settings are all described."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.app.settings import Settings
from api.cli.app import COULD_NOT_RUN, GOOD, UNPROVEN, USAGE, WRONG
from api.cli.reference import reference
from api.http import serving
from client.operations import OPERATIONS, Operation
from ledger.types.__main__ import table
from tests.support.paths import ROOT

BIN = Path(sys.executable).parent


def between(text: str, name: str) -> str:
    """The block of a page between `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```\n<!-- /{name} -->", text, re.DOTALL)
    assert found, f"no block {name}"
    return found[1]


def in_shell(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a stranger's shell would, with the commands on its path."""
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(place), "LANG": "C.UTF-8"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=600)


def masked(text: str) -> list[str]:
    """Lines without what differs from run to run: ids, numbers, times, widths."""
    text = re.sub(r"\b([a-z]{1,2})_[0-9a-z]{26}\b", r"\1_…", text)
    return [
        re.sub(r" +", " ", re.sub(r"\d[\d.,]*", "N", line)).strip() for line in text.splitlines()
    ]


def test_the_tour_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    tour = readme[readme.index("<!-- tour -->") : readme.index("<!-- /tour -->")]
    lines = re.findall(r"^\$ (.*)$", tour, re.MULTILINE)
    leaving = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"
    done = in_shell("\n".join([leaving, *lines]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("HbA1c 5.60 %") == 2
    assert (tmp_path / "mine.txt").read_text() == "HbA1c 5.60 %\n"
    for words in (
        "1 record; this look is entry",
        "refused, and on record",
        "deny by S12 (default): the patient has given no consent that covers this",
        "acts, none missing (checked against the log's keys); this look is entry",
        "good: entry 13 is in the log",
        "good: every decision is the one that the rules give",
    ):
        assert words in done.stdout, words


def test_backup_and_restore_run_as_they_stand(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    blocks = [between(page, name) for name in ("backup", "restore")]
    assert all(line.startswith(("heartwood ", "mv ")) for b in blocks for line in b.splitlines())
    operator = "--as heartwood-data/people/operator-*.key"
    later = f'heartwood hospital add "Later" {operator} > /dev/null'
    script = "\n".join(["heartwood init", blocks[0], later, blocks[1]])
    script = script.replace("/mnt/", f"{tmp_path}/")
    done = in_shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("good: 1 entry", "continues from 1 entry; ", "\nopens: ready\n"):
        assert words in done.stdout, words


def test_the_readme_shows_the_demo(tmp_path: Path) -> None:
    done = in_shell("heartwood demo", tmp_path)
    assert done.returncode == 0, done.stderr
    assert masked(between((ROOT / "README.md").read_text(), "demo")) == masked(done.stdout)


def test_the_table_of_events_is_fresh() -> None:
    assert (ROOT / "docs" / "events.md").read_text() == table(), (
        "run: python -m ledger.types > docs/events.md"
    )


def test_every_command_and_option_is_described() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == reference(), (
        "run: python -m api.cli.reference > docs/commands.md"
    )


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_described(name: str) -> None:
    assert f"`HEARTWOOD_{name.upper()}`" in (ROOT / "docs" / "operations.md").read_text()


ACTIONS = {
    "abort_multipart_upload": "AbortMultipartUpload",
    "complete_multipart_upload": "PutObject",
    "create_multipart_upload": "PutObject",
    "delete_object": "DeleteObject DeleteObjectVersion",
    "get_bucket_versioning": "GetBucketVersioning",
    "get_object": "GetObject GetObjectVersion",
    "head_object": "GetObject GetObjectVersion GetObjectRetention GetObjectLegalHold",
    "list_multipart_uploads": "ListBucketMultipartUploads",
    "list_object_versions": "ListBucketVersions",
    "list_objects_v2": "ListBucket",
    "list_parts": "ListMultipartUploadParts",
    "put_object": "PutObject",
    "put_object_legal_hold": "PutObjectLegalHold",
    "put_object_retention": "PutObjectRetention",
    "upload_part": "PutObject",
}
"""The permissions of each operation, as AWS's service authorization reference gives them."""


def test_the_least_policy_is_what_the_calls_need() -> None:
    """Every operation that storage/blobs names is permitted, and nothing else is."""
    source = "".join(path.read_text() for path in (ROOT / "storage" / "blobs").glob("*.py"))
    verbs = "abort|complete|create|delete|get|head|list|put|upload"
    called = set(re.findall(rf"\b((?:{verbs})_(?:[a-z]+_)*[a-z0-9]+)\b", source)) & ACTIONS.keys()
    assert called == ACTIONS.keys()
    assert set(re.findall(rf'"((?:{verbs})_[a-z0-9_]+)"', source)) <= called
    policy = json.loads(between((ROOT / "docs" / "operations.md").read_text(), "policy"))
    given = {action for one in policy["Statement"] for action in one["Action"]}
    needed = {f"s3:{action}" for name in called for action in ACTIONS[name].split()}
    assert given == needed | {"kms:Decrypt", "kms:GenerateDataKey"}


def test_the_exit_codes_are_described() -> None:
    assert (GOOD, WRONG, USAGE, UNPROVEN, COULD_NOT_RUN) == (0, 1, 2, 3, 4)
    page = (ROOT / "docs" / "operations.md").read_text()
    assert (
        "0 good · 1 found wrong, or denied · 2 used wrongly · 3 consistent but origin unproven"
        in page
    )


def anchor(heading: str) -> str:
    """A heading as links name it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name} → {target}"
            if heading:
                headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                assert heading in map(anchor, headings), f"{page.name} → {target}#{heading}"


GUIDE = (ROOT / "docs" / "http.md").read_text()
LIMITS = {
    "api.http.bodies": "ADDRESS_BODIES_BYTES BODIES_BYTES BODY_SECONDS EVENTS_BYTES INLINE_BYTES INLINE_EVENTS JSON_BYTES PARSES READING_BYTES UPLOAD_RATE UPLOAD_SECONDS VALUE_BYTES",
    "api.http.bounded": "ADDRESS_REQUESTS REQUESTS_LIMIT",
    "api.http.protocol": "ADDRESS_CONNECTIONS CONNECTIONS HEAD_BYTES HEAD_SECONDS IDLE_SECONDS PIPELINED PIPELINE_PAUSE_SECONDS REST_PAUSE_SECONDS REST_SECONDS WRITE_BYTES WRITE_SECONDS",
    "api.http.proofs": "ADDRESS_PROOFS ADDRESS_PROOFS_WAITING PROOFS PROOFS_WAITING PROOF_WAIT_SECONDS",
    "api.http.uploads": "ACCOUNT_UPLOADS UPLOADS UPLOAD_WAITING",
    "client.connection": "ANSWER_RATE ANSWER_SECONDS ANSWER_VALUE_BYTES PIECE_BYTES WAIT_SECONDS",
    "client.http": "INDEX_BYTES",
    "client.operations": "ANSWER_BYTES APPENDED_BYTES CHART_BYTES EXPORT_ARCHIVE_BYTES HISTORY_BYTES RECEIPT_BYTES",
    "identity.codes": "STEP_SECONDS WINDOW_STEPS",
    "identity.onrecord": "ACTS_AN_HOUR ACTS_MS RESETS_AN_HOUR",
    "identity.own": "SIGN_INS_LOOKED SIGN_INS_SHOWN",
    "identity.passwords": "HASHES HASH_WAIT_SECONDS LENGTH_LEAST LENGTH_MOST",
    "identity.sessions": "CHALLENGE_MS LOG_TOKEN_MS PERSON_IDLE_MS SESSIONS_MOST SESSION_MOST_MS SESSION_MS STAFF_IDLE_MS STRONG_MS TOUCH_MS",
    "identity.throttles": "ACCOUNT_FORGIVEN_MS ACCOUNT_FREE ADDRESS_FORGIVEN_MS ADDRESS_FREE FIRST_WAIT_MS WAIT_MOST_MS",
    "ledger.event": "BUNDLE_LIMIT EVENT_LIMIT READING_DEPTH READING_LIMIT",
    "ledger.types.sessions": "RECOVERY_CODES",
    "ledger.codes": "CRITERIA EXCEPTIONS GRANT_RECORDS LABELS_A_RECORD PENDING_APPLICATIONS REFERRED_RECORDS",
    "records.inquiries": "INQUIRIES_AN_HOUR INQUIRIES_A_DAY INQUIRIES_LISTED INQUIRY_LASTS_MS",
    "ledger.links": "REFERRALS_STANDING",
    "records.referrals": "REFERRALS_LISTED",
    "ledger.types.accounts": "RECEIVING_KEYS",
    "records.ranges": "RANGE_BYTES TOKEN_MS",
    "records.receipts": "RECEIPTS_AN_HOUR",
    "records.exporting": "EXPORT_RECORDS",
    "people.applications": "LISTED",
    "people.tries": "CLAIM_ADDRESS_TRIES CLAIM_FIRST_WAIT_MS CLAIM_FORGOTTEN_MS CLAIM_FREE_TRIES CLAIM_LONGEST_WAIT_MS",
    "ledger.types.invitations": "DOCTOR_INVITATIONS_OPEN DOCTOR_INVITATION_DAYS",
    "people.inviting": "INVITED_AN_ADDRESS INVITED_AN_HOUR INVITED_A_DAY JOIN_FIRST_WAIT_MS JOIN_FORGOTTEN_MS JOIN_FREE_TRIES JOIN_LONGEST_WAIT_MS",
    "people.profiles": "HOURS_BYTES LANGUAGES_SPOKEN PLACES PROFILES_AN_HOUR SPECIALTY_BYTES",
    "api.http.passkeys": "CHALLENGES_AN_HOUR",
    "people.joining": "REGISTERED_AN_HOUR REGISTERED_A_DAY",
    "people.lookups": "IDENTIFIERS",
    "people.numbers": "LOOKED_UP_AN_HOUR LOOKED_UP_A_DAY STATED_A_MONTH",
    "journeys.labelling": "LABELS_AN_HOUR",
    "journeys.quotas": "ALONE_BYTES_A_DAY ALONE_EVENTS_AN_HOUR ALONE_EVENTS_A_DAY KEYS_AN_ACCOUNT PERSON_EVENTS_AN_HOUR PERSON_EVENTS_A_DAY",
    "journeys.sealing": "TEXT_BYTES",
    "people.forms": "LINE_CHARACTERS TEXT_CHARACTERS",
    "people.reserving": "APPLYING_AN_HOUR RESERVED_AN_HOUR SUBJECTS",
    "records.uploads": "BLOB_LIMIT",
    "storage.contacts": "ADDRESS_CHARACTERS LOCAL_CHARACTERS PROOFS_AN_ACCOUNT PROOFS_AN_ADDRESS PROOFS_A_PAIR PROOF_MS PROOF_PACE_MS",
    "people.resetting": "RESETS_AN_ADDRESS RESETS_A_PAIR",
    "storage.log": "QUEUE_EVENTS",
    "storage.numbers": "NUMBER_CHARACTERS",
    "storage.resets": "RESET_LINK_MS RESET_PACE_MS RESETS_DAY_MS RESETS_MAILED_A_DAY",
}
"""The names of the limits that docs/http.md says, by where they are kept."""
UNITS = {
    "": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "ms": 1e-3, "s": 1, "min": 60, "h": 3_600,
}  # fmt: skip
BESIDE = {"VALUE_BYTES": {8 << 20, (8 << 20) // 26}, "RECEIPT_BYTES": {1 << 20}}
"""Numbers beside a limit's own, that explain it."""


def section(name: str) -> str:
    """A chapter of docs/http.md."""
    return GUIDE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_http_guide_names_every_route() -> None:
    app = serving()
    routes = {
        f"{method} {route}"
        for route, operations in app.openapi()["paths"].items()
        for method in map(str.upper, operations)
    }
    table = section("Two doors")
    told = set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", table, re.MULTILINE))
    assert told - {row_of(one) for one in OPERATIONS} == {"GET /healthz", "GET /openapi.json"}
    told -= {"GET /tile/<L>/<N>[.p/<W>]", "GET /tile/entries/<N>[.p/<W>]", "GET /openapi.json"}
    told |= {"GET /tile/{path}", "GET /readyz", "GET /metrics"}
    assert told == routes


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_http_guide_has_the_row_of_each_operation(operation: Operation) -> None:
    assert operation.row in section("Two doors").splitlines()


def row_of(operation: Operation) -> str:
    """Method and path, as the guide prints them."""
    return f"{operation.method} {operation.shown or operation.path}"


def limit(name: str) -> float:
    """A limit as it is kept; times in seconds."""
    (module,) = (module for module, names in LIMITS.items() if name in names.split())
    value: int = getattr(importlib.import_module(module), name)
    return value / 1_000 if name.endswith("_MS") else value


def amounts(text: str) -> set[float]:
    """The numbers of a text with their units, but for those in code."""
    plain = re.sub("`[^`]*`", "", text)
    found = re.findall(r"(?<![-\w])([0-9][0-9,]*)(?: (bytes|[KMGT]iB|ms|s|min|h)\b)?", plain)
    return {float(number.replace(",", "")) * UNITS[unit] for number, unit in found}


@pytest.mark.parametrize(
    "row", re.findall(r"^\|.*`[A-Z_]{5,}`.*$", section("Limits"), re.MULTILINE)
)
def test_the_http_guide_says_the_limits(row: str) -> None:
    """Each limit of a row stands in it, and no other number does."""
    *words, constants = row.strip("| ").split(" | ")
    names = re.findall("`([A-Z_]+)`", constants)
    beside = set().union(*(BESIDE.get(name, set()) for name in names))
    derived = {"RECEIPT_BYTES"} & set(names)
    assert (
        amounts(" ".join(words)) == {limit(name) for name in names if name not in derived} | beside
    )


def test_the_http_guide_names_every_limit() -> None:
    told = set(re.findall(r"`([A-Z_]{5,})`", section("Limits")))
    assert told == {name for names in LIMITS.values() for name in names.split()}


def test_the_http_guide_shows_the_golden_vectors() -> None:
    golden = json.loads((ROOT / "tests" / "golden" / "signing.json").read_text())
    values = [golden[name] for name in ("seed", "public_key", "key", "canonical", "challenge")]
    values += [golden["account"], golden["export"]["root"], *golden["export"]["lines"]]
    values += [signed["value"] for signed in golden["signed"].values()]
    values.append(golden["signed"]["bundle"]["message"].split("\n")[3])
    for value in values:
        assert value in GUIDE, value


def test_the_formats_show_the_vector_of_a_claim() -> None:
    claim = json.loads((ROOT / "tests" / "golden" / "signing.json").read_text())["claim"]
    page = (ROOT / "docs" / "formats.md").read_text()
    for value in claim.values():
        assert value.replace("\n", "\\n") in page, value


def test_the_table_of_asvs_names_tests_that_are_there() -> None:
    """`::test` alone is of the file named before it in the line."""
    page, named = (ROOT / "docs" / "asvs.md").read_text(), 0
    for line in page.splitlines():
        path = None
        for file, test in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", line):
            path = ROOT / "tests" / file if file else path
            assert path is not None and path.is_file(), line
            assert not test or f"def {test}(" in path.read_text(), (path, test)
            named += 1
    assert named > 40


OLD_WORDINGS = (
    "`--data` goes before it", "if nothing in it counts", "which is no active key", "only a first key, and only by",
    "may no longer read by it", "expected text like", "is no toml", "is no key file", "is no json",
    "name one by --patient", "signs nothing any more", "or not counting yet", "entries to come;", "would not open:",
    "worker(s)", "against the last entry", "is not one of this address", "is none that counts",
    "it is not there, or not for you", "error of the program", "say anew what", "whose the attachments are",
    "as who registered it", "if both, of one another", "nor the most of its", "looks at the own chart",
    "wide ones laid on much", "nobody can take an entry out", "released only against the proof",
    "given only against the proof", "not for care yet", "the whole way on generated", "the demo says which",
    "whole ways, step by step", "the same commands ask a server", "take all of it away", "takes the whole chart away",
    "what you always can, of age", "(the patient alone)", "a further one as itself", "let nobody act for a hospital",
    "is no chart of yours", "is none of ours", "what to keep, and apart", "towns that are made anew",
    "what else one could use",
)  # fmt: skip
"""What new readers stumbled over, in lower case; each has a plainer wording now."""


def texts_of(path: Path) -> str:
    """A page, or what a module says in its strings, in lower case and with single spaces."""
    said = path.read_text()
    if path.suffix == ".py":
        strings = []
        for node in ast.walk(ast.parse(said)):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                strings.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
        said = "\n".join(strings)
    return " ".join(said.lower().split())


def test_no_page_and_no_message_has_an_old_wording() -> None:
    code = re.search(r"^CODE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert code is not None
    folders = [ROOT / name for name in code[1].split() if name != "tests"]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    paths += [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(paths) > 300
    found = {
        f"{path.relative_to(ROOT)}: {words}"
        for path in paths
        for said in [texts_of(path)]
        for words in OLD_WORDINGS
        if words in said
    }
    assert not found
