"""HL7 v2: each message is a draft with the bytes that came, or set aside; none moves anybody's records."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.drafts import Listed, PatientDraft, Person
from imports.hl7 import DELETES, EVENTS, MOVES, OTHERS, is_hl7, read_messages, registers
from imports.labels import Labels
from ledger.codes import CATEGORIES

PAGE = Path("docs/import-formats.md").read_text("utf-8")
PID = "PID|1||4711^^^Ward&1.2.3&ISO^MR~99^^^SSA^SS||Doe^Jane^Ann^III^Dr||19800131|F"
OBR = "OBR|1|||24331-1^Lipid panel^LN|||202001020800||||||||||||||||"


def msh(kind: str, control: str = "1", charset: str = "", sender: str = "ADT1") -> str:
    return f"MSH|^~\\&|{sender}|Clinic|||20200101120000||{kind}|{control}|P|2.5||||||{charset}"


def message(kind: str, *segments: str, control: str = "1", end: str = "\r") -> bytes:
    return end.join([msh(kind, control), *(segments or (PID,))]).encode()


def read(data: bytes) -> tuple[list[PatientDraft], Listed]:
    findings = Listed()
    drafts = list(read_messages(data, Labels.default(), findings))
    units = sum(len(record.units) for draft in drafts for record in draft.records)
    assert findings.units == units + len(findings.duplicates) + len(findings.rejected)
    return drafts, findings


def reason(data: bytes) -> str:
    drafts, findings = read(data)
    assert not drafts
    ((position, why, original),) = findings.rejected
    assert position == "message 1" and original == data
    return why


PARTS = st.sampled_from(
    [b"MSH|^~\\&|A|B|||2020||ADT^A01|1|P|2.5", b"\r", b"\n", b"\x0b", b"\x1c\r", PID.encode(), b"MSH|", b"MSH|^",
     b"ORU^R01", b"FHS|^~\\&", b"BTS|1", b"OBR|1|||\\.sp999999999\\", b"^", b"~", b"&", b"\\", b"|", b"\xfc",
     OBR.encode(), b"MSH^~|&^A^^^^^^ORU~R01^7"]
)  # fmt: skip


@given(st.lists(PARTS | st.binary(max_size=6), max_size=20).map(b"".join) | st.binary())
def test_any_bytes_are_drafts_and_findings(data: bytes) -> None:
    is_hl7(data)
    drafts, _ = read(data)
    for draft in drafts:
        (record,) = draft.records
        assert draft.names or draft.numbers
        assert record.category in CATEGORIES
        assert b"".join(record.compose(record.units)) in data
        assert len(record.title.encode()) <= 200
        assert draft.person is None or registers(data)


ENDS = st.sampled_from(["\r", "\n", "\r\n"])
FRAMES = st.sampled_from([(b"", b"\r"), (b"\x0b", b"\x1c\r"), (b"", b"\r\n\r\n")])
ENVELOPES = st.sampled_from(
    [(b"", b""), (b"FHS|^~\\&|A\rBHS|^~\\&|A\r", b"BTS|2\rFTS|1\r"), (b"\xef\xbb\xbf", b"")]
)


@given(ENDS, FRAMES, ENVELOPES, st.integers(1, 4), st.sampled_from(["ADT^A01", "ORU^R01"]))
def test_what_is_around_a_message_changes_nothing(
    end: str, frame: tuple[bytes, bytes], envelope: tuple[bytes, bytes], count: int, kind: str
) -> None:
    sent = [message(kind, PID, OBR, control=str(n), end=end) for n in range(count)]
    data = envelope[0] + b"".join(frame[0] + one + frame[1] for one in sent) + envelope[1]
    drafts, findings = read(data)
    assert is_hl7(data[:64]) and registers(data) == (kind == "ADT^A01")
    assert [b"".join(draft.records[0].compose(draft.records[0].units)) for draft in drafts] == sent
    assert [draft.records[0].units[0].position for draft in drafts] == [
        f"message {n + 1}" for n in range(count)
    ]
    assert bool(findings.corrections) == (frame[0] != b"" or envelope[0] != b"")


def test_an_admission_registers_the_patient() -> None:
    visit = "PV1|1|I|||||||||||||||||5001^^^Ward^VN" + "|" * 25 + "20200102"
    (draft,), _ = read(message("ADT^A01", "EVN||20200103", PID, visit))
    (record,) = draft.records
    assert draft.names == ("urn:oid:1.2.3|4711",) and draft.numbers == ("#MR|4711",)
    assert draft.person == Person("Jane Ann Doe III", "1980-01-31", written=("19800131", ""))
    assert (record.category, record.encounter, record.clinical_date) == (
        "encounter",
        "Ward|5001",
        "2020-01-02",
    )
    assert record.title == "Admission, ADT A01, 2020-01-02"
    assert record.media_type == "application/hl7-v2"
    assert record.units[0].name == "ADT1|Clinic|1|ADT^A01|20200101120000"
    assert record.units[0].former == "ADT1|Clinic|1|ADT^A01"


@pytest.mark.parametrize(
    ("pid", "person"),
    [
        ("PID|1||1||Doe^Jane||1980", Person("Jane Doe", "1980-12-31")),
        ('PID|1||1||""||""', Person("", None)),
        (
            "PID|1||1||O\\T\\Neil&van^Jane~Other^Name||198001311200",
            Person("Jane O&Neil", "1980-01-31"),
        ),
        ("PID|1||1||Doe^Jane||19800131" + "|" * 23 + "Y", Person("Jane Doe", "1980-01-31", True)),
        (
            "PID|1||1||Doe^Jane||19800131" + "|" * 22 + "20200101",
            Person("Jane Doe", "1980-01-31", True),
        ),
        ("PID|1||1||Doe^Jane||19800131" + "|" * 22 + '""|N', Person("Jane Doe", "1980-01-31")),
    ],
)
def test_what_is_known_of_a_person(pid: str, person: Person) -> None:
    found = read(message("ADT^A31", pid))[0][0].person
    assert found is not None
    assert replace(found, birth_doubt="", written=("", "")) == person
    assert bool(found.birth_doubt) == ("19800131" not in pid)


@pytest.mark.parametrize(
    ("field", "names", "numbers"),
    [
        ("4711", ("#in|hl7 ADT1|Clinic|4711",), ("#MR|4711",)),
        ("4711^^^^MR", ("#in|hl7 ADT1|Clinic|4711",), ("#MR|4711",)),
        ("4711^^^Ward^PI", ("Ward|4711",), ()),
        ("4711^^^Ward&1.2&DNS^MR", ("1.2|4711",), ("#MR|4711",)),
        ("1^^^Ward^MR~2^^^State^NI~1^^^Ward^MR", ("Ward|1", "State|2"), ("#MR|1",)),
        ("1^^^SSA^SS~2^^^Ward^AN~3^^^Ward^VN~4^^^State^DL", None, ()),
        ("123^^^^^USSSA", None, ()),
        ("123^^^^PI", None, ()),
        ('""', None, ()),
        ("", None, ()),
    ],
)
def test_whose_a_message_is(
    field: str, names: tuple[str, ...] | None, numbers: tuple[str, ...]
) -> None:
    data = message("ADT^A08", f"PID|1||{field}||Doe^Jane")
    if names is None:
        assert "got no identifier of the patient in PID-3" in reason(data)
    else:
        (draft,), _ = read(data)
        assert (draft.names, draft.numbers) == (names, numbers)


@pytest.mark.parametrize("trigger", sorted(EVENTS))
def test_each_event_that_is_taken(trigger: str) -> None:
    with_visit = message(f"ADT^{trigger}", PID, "PV1|1|I|||||||||||||||||5001")
    assert read(with_visit)[0][0].records[0].category == "encounter"
    about_person = trigger in ("A08", "A28", "A31")
    category = read(message(f"ADT^{trigger}", PID, "PV1|1|N"))[0][0].records[0].category
    assert category == ("demographics" if about_person else "encounter")
    assert "moves records" in reason(message(f"ADT^{trigger}", PID, "MRG|4712^^^Ward^MR"))
    assert len(read(message(f"ADT^{trigger}", PID, "MRG|||account"))[0]) == 1
    assert f"| {trigger} | {EVENTS[trigger]} |" in PAGE


@pytest.mark.parametrize("trigger", sorted(MOVES | DELETES))
def test_no_message_moves_or_deletes(trigger: str) -> None:
    assert reason(message(f"ADT^{trigger}")).endswith("do this by hand")
    assert trigger not in EVENTS
    assert re.search(rf"\b{trigger}\b", PAGE)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (message("SIU^S12"), "SIU^S12: appointments are not imported; ADT and ORU are"),
        (message("ZZZ^Z01"), "ZZZ^Z01: its messages are not imported; ADT and ORU are"),
        (message(""), "a message without a type"),
        (message("ADT^A20"), "ADT^A20: this event is not imported"),
        (message("ADT^A01", "EVN|A01"), "got 0 PID segments, expected one"),
        (message("ADT^A01", PID, PID), "got 2 PID segments, expected one"),
        (message("ORU^R01", PID), "got no OBR segment"),
        (message("ADT^A01", PID, "oops"), "got a segment that begins 'oops'"),
        (msh("ADT^A01", charset="ISO IR87").encode(), "got the charset 'ISO IR87'"),
        (
            msh("ADT^A01", charset="UNICODE UTF-8").encode() + b"\rPID|\xfc",
            "got 0xfc, expected utf-8",
        ),
        (message("ADT^A01", PID)[:-1] + b"\x81", "got 0x81, expected UTF-8 or windows-1252"),
        (b"PID|1||4711", "got segments that belong to no message"),
    ],
)
def test_what_is_set_aside_says_why(data: bytes, why: str) -> None:
    assert why in reason(data)


def test_the_page_names_the_types_that_are_not_taken() -> None:
    assert all(f"{kind} ({about})" in PAGE for kind, about in OTHERS.items())


def test_an_event_of_old_versions_stands_in_evn() -> None:
    assert (
        read(message("ADT", "EVN|A04", PID))[0][0]
        .records[0]
        .title.startswith("Registration, ADT A04")
    )


def test_a_message_that_comes_twice() -> None:
    first, other = message("ADT^A01"), message("ADT^A01", PID.replace("Jane", "Joan"))
    drafts, findings = read(first + b"\r" + first)
    name = "ADT1|Clinic|1|ADT^A01|20200101120000"
    assert len(drafts) == 1 and findings.duplicates == [("message 2", name)]
    # Other content under one name is for the filing to judge, which knows what came before.
    drafts, _ = read(first + b"\r" + other)
    assert [draft.records[0].units[0].name for draft in drafts] == [name, name]
    # The same control id by another type, or by another sender, is another message.
    sent = [first, message("ADT^A28"), first.replace(b"ADT1", b"ADT2")]
    assert len(read(b"\r".join(sent))[0]) == 3
    without = [message("ADT^A01", control=""), message("ADT^A01", PID + "|", control="")]
    assert len(read(b"\r".join(without))[0]) == 2


@pytest.mark.parametrize(
    ("orders", "category"),
    [
        ([OBR], "laboratory"),
        ([OBR + "|RAD"], "imaging"),
        ([OBR + "|XYZ", OBR + "|CTH"], "procedure"),
        (["OBR|1|||LP29684-5^Radiology^LN"], "imaging"),
        (["OBR|1|||CT^Clotting time^L"], "laboratory"),
    ],
)
def test_results_by_their_section(orders: list[str], category: str) -> None:
    assert read(message("ORU^R01", PID, *orders))[0][0].records[0].category == category


def test_results_go_to_whom_they_name() -> None:
    coded = "OBX|2|CWE|29308-4^Diagnosis^LN||86406008^HIV^SCT||||||F"
    segments = (
        PID,
        OBR + "|LAB",
        "OBX|1|NM|20447-9^HIV 1 RNA^LN||50",
        OBR,
        coded,
        "DG1|1|I10|F10.2",
    )
    (draft,), _ = read(message("ORU^R01", *segments))
    (record,) = draft.records
    assert draft.person is None and draft.names == ("urn:oid:1.2.3|4711",)
    assert (record.title, record.clinical_date) == ("Lipid panel and 1 more", "2020-01-02")
    assert record.units[0].labels == ("ETH", "HIV")
    text = coded.replace("|CWE|", "|ST|")
    assert read(message("ORU^R01", PID, OBR, text))[0][0].records[0].units[0].labels == ()


def test_encodings() -> None:
    latin = msh("ADT^A01", charset="8859/1").encode() + b"\rPID|1||1||M\xfcller^J"
    (draft,), findings = read(latin)
    assert draft.person and draft.person.name == "J Müller" and not findings.corrections
    assert draft.records[0].units[0].raw == latin
    (draft,), findings = read(latin.replace(b"8859/1", b""))
    assert draft.person and draft.person.name == "J Müller"
    assert findings.corrections == [("message 1", "encoding", "not UTF-8", "read as windows-1252")]
    utf16 = latin.decode("latin-1").encode("utf-16")
    assert is_hl7(utf16) and read(utf16)[1].rejected[0][1].startswith("got UTF-16")


@pytest.mark.parametrize(
    "head", [b"", b"MSHx", b"%PDF-MSH|", b"PID|1", b"file,patient", b"\xff\xfeM"]
)
def test_what_is_no_message(head: bytes) -> None:
    assert not is_hl7(head)


# --- a line feed inside a text -------------------------------------------------------------------

OBX = "OBX|1|NM|2160-0^Creatinine^LN||88|umol/L|||||F"


@pytest.mark.parametrize("end", ["\r", "\r\n"])
@pytest.mark.parametrize("quoted", ["MSH|not one", "MSH^x", "two\n\nlines", "\nFHS|", "end\n"])
def test_a_line_feed_inside_a_text_cuts_nothing(end: str, quoted: str) -> None:
    if end == "\r\n" and quoted.startswith(("MSH", "\nFHS")):
        quoted = quoted.replace("MSH", "Msh").replace("FHS", "fhs")
    data = message("ORU^R01", PID, OBR, f"NTE|1||it said:\n{quoted}", OBX, end=end)
    other = message("ORU^R01", PID, OBR, OBX, control="2", end=end)
    drafts, findings = read(data + end.encode() + other)
    records = [draft.records[0] for draft in drafts]
    assert [b"".join(one.compose(one.units)) for one in records] == [data, other]
    assert not findings.rejected


@pytest.mark.parametrize(
    ("end", "quoted"),
    [
        ("\r", msh("ORU^R01")),
        ("\r\n", msh("ORU^R01")),
        ("\r\n", "OBX|2|NM|x||1"),
        ("\r\n", "PID|1||2"),
    ],
)
def test_what_may_be_a_text_or_a_segment_is_set_aside_whole(end: str, quoted: str) -> None:
    data = message("ORU^R01", PID, OBR, f"NTE|1||it said:\n{quoted}", OBX, end=end)
    assert "got a line feed alone before" in reason(data)


MEASURE = """
import resource, sys
from imports.drafts import Listed
from imports.hl7 import read_messages
from imports.labels import Labels
head = b"MSH|^~\\\\&|A|B|||2020||ORU^R01|1|P|2.5\\rPID|1||4711^^^W^MR\\rOBR|1|X|||||2020\\r"
data = head + {body}
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
list(read_messages(head, Labels.default(), Listed()))
before = peak()
print(len(list(read_messages(data, Labels.default(), Listed()))), len(data), peak() - before)
"""


@pytest.mark.parametrize(
    "body",
    [
        'b"OBX|1|NM|2951-2^Sodium^LN||140|mmol/L|||||F\\r" * 60_000',
        'b"OBX|1|ST|a^b^c||" + b"^a" * 1_500_000',
        'b"OBX|1|ED|a^b^c||^x^y^Base64^" + b"QUJD" * 750_000',
    ],
    ids=["many segments", "many components", "one long value"],
)
def test_memory_grows_by_a_few_times_the_message(body: str) -> None:
    """A tree of all of it took 250 to 450 times its length."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE.replace("{body}", body)],
        capture_output=True,
        text=True,
        check=True,
    )
    _, size, grown = map(int, ran.stdout.split())
    assert grown < 20 * size
