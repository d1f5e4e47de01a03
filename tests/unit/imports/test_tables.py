"""Tables: every row is in a record of its own patient, byte for byte, or is told; whatever the bytes are."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Members
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imports.drafts import Listed, PatientDraft, Person, Unit
from imports.labels import Labels
from imports.mapping import DELIMITERS, Mapping
from imports.rows import fields
from imports.tablerows import replaced
from imports.tables import read_tables

FILES = settings(deadline=None)
"""Each example writes and reads files, which may take long on a busy machine."""
PAGE = Path("docs/import-tables.md").read_text("utf-8")
ONE, TWO = str(UUID(int=1)), str(UUID(int=2))
MAPPING = """
[tables.people]
files = "people*"
kind = "patients"
delimiter = "%s"
patient = [{ column = "id", as = "uuid" }, { column = "no", as = "number" }]
key = "id"
name = ["first", "last"]
birth_date = "born"
death_date = "died"

[tables.rows]
files = "rows*"
kind = "rows"
delimiter = "%s"
patient = { column = "who", as = "uuid" }
encounter = "enc"
key = ["when", "code"]
category = { column = "cat", values = { lab = "laboratory" }, default = "encounter" }
without_encounter = "summary"
date = "when"
title = "text"
codes = { column = "code", system_column = "sys" }
units = "unit"

[tables.numbers]
files = "numbers*"
kind = "rows"
patient = { column = "no", as = "number" }
key = "k"
category = "billing"

[tables.both]
files = "both*"
kind = "rows"
patient = [{ column = "id", as = "uuid" }, { column = "no", as = "number" }]
key = "id"
category = "billing"

[tables.houses]
files = "houses*"
kind = "reference"
"""
PEOPLE = "id,no,first,last,born,died\n"
HEADER = "who,enc,when,cat,code,sys,unit,text\n"


Sources = Members[str, bytes] | Members[str, str] | Members[str, bytes | str]


@dataclass
class Found:
    drafts: list[PatientDraft]
    told: dict[str, Listed]

    def units(self, file: str = "") -> list[Unit]:
        return [
            unit
            for draft in self.drafts
            for record in draft.records
            if record.source is not None and record.source.name.startswith(file)
            for unit in record.units
        ]

    def balanced(self) -> bool:
        """Whether each unit found ended in exactly one place."""
        return all(
            told.units == len(self.units(name)) + told.references + len(told.rejected)
            for name, told in self.told.items()
        )

    def reasons(self, file: str) -> list[str]:
        return [reason for _, reason, _ in self.told[file].rejected]


def read(files: Sources, mapping: str = "", delimiter: str = ",") -> Found:
    """What comes of these files; every content is composed while its draft is the current one."""
    tables = Mapping.parse(mapping or MAPPING.replace("%s", delimiter.replace("\t", "\\t")), "m")
    told = {name: Listed() for name in files}
    with TemporaryDirectory() as folder:
        paths = {}
        for name, data in files.items():
            path = Path(folder) / name
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
            table = tables.table_of(name)
            assert table is not None
            paths[path] = table
        drafts = []
        for draft in read_tables(paths, Labels.default(), lambda path: told[path.name]):
            drafts.append(draft)
            for record in draft.records:
                assert b"".join(record.compose(record.units)).endswith(
                    b"".join(unit.raw for unit in record.units)
                )
    return Found(drafts, told)


def written(rows: Iterable[Sequence[str]], delimiter: str, quoted: bool, end: str) -> list[bytes]:
    """Rows as RFC 4180 has them. The writer of Python 3.11 leaves a lone CR without quotes."""
    lines = []
    for row in rows:
        special = {delimiter, '"', "\r", "\n"}
        cells = [
            f'"{cell.replace(chr(34), chr(34) * 2)}"'
            if quoted or not special.isdisjoint(cell) or list(row) == [""]
            else cell
            for cell in row
        ]
        lines.append((delimiter.join(cells) + end).encode())
    return lines


TEXTS = st.text(
    st.sampled_from('ab,;\t|"\n\r ä€') | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=8,
)
# No line may be told from another by chance alone: what a row says of itself is drawn from few values.
ROWS = st.lists(
    st.tuples(
        *(st.sampled_from([ONE, TWO, ONE.upper()]), st.sampled_from(["", "e1", "e2"])),
        *(st.sampled_from(["", "2020-01-31"]), st.sampled_from(["", "lab", "LAB", "x"])),
        *(st.sampled_from(["c", "d"]), st.just("LOINC"), st.just("mg/dL"), TEXTS),
    ),
    max_size=12,
)


@FILES
@given(
    ROWS,
    st.sampled_from(DELIMITERS),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_rows_come_back_byte_for_byte_with_their_patient(
    rows: list[tuple[str, ...]], delimiter: str, quoted: bool, end: str, ended: bool
) -> None:
    header, *lines = written([HEADER.strip().split(","), *rows], delimiter, quoted, end)
    data = header + b"".join(lines)
    found = read({"rows.csv": data if ended else data.removesuffix(end.encode())}, "", delimiter)
    expected = Counter(
        (f"Patient/{row[0].lower()}", row[1] or None, line)
        for row, line in zip(rows, lines, strict=True)
    )
    got = Counter(
        (draft.names[0], record.encounter, unit.raw)
        for draft in found.drafts
        for record in draft.records
        for unit in record.units
    )
    assert got == expected
    assert found.balanced() and found.told["rows.csv"].units == len(rows)
    assert not found.told["rows.csv"].rejected and not found.told["rows.csv"].corrections
    for draft in found.drafts:
        names = [unit.name for record in draft.records for unit in record.units]
        assert len(names) == len(set(names)) and all(n.startswith("rows ") for n in names)
        for record in draft.records:
            assert b"".join(record.compose(record.units)).startswith(header)


@FILES
@given(ROWS, st.booleans())
def test_a_position_is_the_first_line_of_its_row(rows: list[tuple[str, ...]], quoted: bool) -> None:
    header, *lines = written([HEADER.strip().split(","), *rows], ",", quoted, "\n")
    found = read({"rows.csv": header + b"".join(lines)})
    source = (header + b"".join(lines)).split(b"\n")
    for unit in found.units():
        at = int(unit.position.removeprefix("line ")) - 1
        assert source[at] == unit.raw.split(b"\n")[0]


PIECES = st.sampled_from(
    [
        *(b",", b'"', b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xfc"),
        *(b"31.01.2020", b"2020-01-31", b"who", b"x", b"\xc3\xa4", b"mg/dl", b" ", b"\x81"),
        *(ONE.encode(), TWO.encode(), f"{ONE},e,31.1.2020,lab,c,s,mg/dl,t\n".encode()),
    ]
)
SOUP = st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join)
ENCODINGS = ("", "utf-8", "windows-1252", "utf-16", "utf-16-be", "cp037", "gb18030", "shift_jis")


@FILES
@given(
    SOUP, st.booleans(), st.sampled_from(ENCODINGS), st.sampled_from(["rows", "people", "houses"])
)
@example(b"a,b\rc,d\r", False, "", "rows")
@example(b"who", False, "", "rows")
@example(b'"', False, "", "houses")
def test_any_bytes_are_a_table(soup: bytes, headed: bool, encoding: str, table: str) -> None:
    header = {"rows": HEADER, "people": PEOPLE, "houses": "name,place\n"}[table].encode()
    mapping = MAPPING.replace("%s", ",")
    if encoding:
        mapping = mapping.replace('kind = "', f'encoding = "{encoding}"\nkind = "')
    data = header + soup if headed else soup
    found = read({f"{table}.csv": data}, mapping)
    told = found.told[f"{table}.csv"]
    assert found.balanced()
    # A line is a header of a reference table whatever it is; nothing else goes unsaid.
    assert (
        told.units
        or headed
        or table == "houses"
        or not soup.strip(b"\xff\xfe\xef\xbb\xbf \r\n\t\v\f")
    )
    for unit in found.units():
        unit.raw.decode("utf-8")
        assert unit.raw.endswith(b"\n")


@FILES
@given(SOUP, SOUP, SOUP)
def test_several_tables_of_any_bytes_balance(people: bytes, rows: bytes, more: bytes) -> None:
    files = {
        "people.csv": PEOPLE.encode() + people,
        "rows_1.csv": HEADER.encode() + rows,
        "rows_2.csv": HEADER.encode() + more,
    }
    found = read(files)
    assert found.balanced()
    for draft in found.drafts:
        names = [unit.name for record in draft.records for unit in record.units]
        assert len(names) == len(set(names))


@FILES
@given(
    st.lists(TEXTS.filter(lambda t: not t.startswith('"')), min_size=1, max_size=6),
    st.sampled_from(DELIMITERS),
    st.booleans(),
    st.dictionaries(st.integers(0, 5), TEXTS.filter(lambda t: t and not set(t) & set("\r\n"))),
)
def test_other_values_leave_every_other_byte(
    row: list[str], delimiter: str, quoted: bool, values: dict[int, str]
) -> None:
    text = written([row], delimiter, quoted, "\r\n")[0].decode()
    assert replaced(text, delimiter, {}) == text
    assert replaced(text, delimiter, dict(enumerate(fields(text, delimiter)))) == text
    after = fields(replaced(text, delimiter, values), delimiter)
    assert after == [values.get(at, value) for at, value in enumerate(row)]


def test_corrections_rewrite_a_field_and_keep_the_quotes_of_others() -> None:
    row = f'{ONE},"e,1",31.01.2020,lab, 718-7 ,LOINC,"mg/dl","a ""b"" c"\n'
    found = read({"rows.csv": HEADER + row})
    (unit,) = found.units()
    assert unit.raw.decode() == f'{ONE},"e,1",2020-01-31,lab,718-7,LOINC,"mg/dL","a ""b"" c"\n'
    assert sorted(found.told["rows.csv"].corrections) == [
        ("line 2", "code: white space", " 718-7 ", "718-7"),
        ("line 2", "unit: UCUM", "mg/dl", "mg/dL"),
        ("line 2", "when: date written DD.MM.YYYY", "31.01.2020", "2020-01-31"),
    ]
    (record,) = found.drafts[0].records
    assert (record.category, record.encounter) == ("laboratory", "e,1")
    assert (record.clinical_date, record.media_type) == ("2020-01-31", "text/csv")
    assert record.title == 'rows, 2020-01-31: a "b" c'
    assert record.file_name == "rows.csv"


def test_what_could_mean_two_things_stays() -> None:
    row = f"{ONE},e1,01/02/2020,lab,c,s,C,t\n"
    found = read({"rows.csv": HEADER + row})
    assert [unit.raw.decode() for unit in found.units()] == [row]
    assert found.drafts[0].records[0].clinical_date is None
    assert not found.told["rows.csv"].corrections


def test_encodings() -> None:
    row = f"{ONE},e1,,lab,c,s,,Müller\n"
    for data, what in (
        (
            b"\xef\xbb\xbf" + (HEADER + row).encode(),
            ("line 1", "byte order mark, utf-8", "\ufeff", ""),
        ),
        (
            (HEADER + row).encode("cp1252"),
            ("line 2", "encoding: read as windows-1252", "windows-1252", "utf-8"),
        ),
    ):
        found = read({"rows.csv": data})
        assert [unit.raw.decode() for unit in found.units()] == [row]
        assert found.told["rows.csv"].corrections == [what]
        content = b"".join(found.drafts[0].records[0].compose(found.units()))
        assert content.decode() == HEADER + row


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16-be", "cp500", "iso2022_jp"])
def test_a_declared_encoding_is_told_once_a_file(encoding: str) -> None:
    text = "ä\x85" if encoding == "cp500" else "お" if "jp" in encoding else "€"
    rows = [f"{ONE},e{n},,lab,c,s,,{text}\n" for n in range(3)]
    mapping = MAPPING.replace("%s", ",").replace('kind = "', f'encoding = "{encoding}"\nkind = "')
    found = read({"rows.csv": (HEADER + "".join(rows)).encode(encoding)}, mapping)
    assert [unit.raw.decode() for unit in found.units()] == rows
    assert [position for position, *_ in found.told["rows.csv"].corrections] == ["line 1"]


def test_a_recoded_file_with_a_wrong_byte_is_set_aside_as_one() -> None:
    found = read({"rows.csv": b"\xff\xfe" + HEADER.encode("utf-16-le") + b"\x00\xd8a"})
    ((position, reason, original),) = found.told["rows.csv"].rejected
    assert (position, original, found.told["rows.csv"].units) == ("", None, 1)
    assert "utf-16-le" in reason


BAD = {
    f"{ONE},e1\n": "got 2 fields, expected 8",
    ",e1,,lab,c,s,,t\n": "got no patient in the column who, expected one",
    "4711,e1,,lab,c,s,,t\n": "got the patient '4711' in the column who, expected a UUID",
    f'{ONE},"e1" x,,lab,c,s,,t\n': "got a row that is no CSV",
    f'{ONE},e1,,lab,c,s,,"t\n': "got a quote that is not closed",
    f"{ONE},e1,,lab,c,s,,\0\n": "got a NUL as byte",
    f"{ONE},e1,,lab,c,s,,t\ru\n": "got a row that is no CSV",
    f"{ONE},e1,,lab,c,s,,{'t' * 131_073}\n": "got a row that is no CSV: field larger than",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_row_is_rejected_and_others_are_not(bad: str) -> None:
    good = f"{ONE},e1,,lab,c,s,,t\n"
    found = read({"rows.csv": HEADER + good + bad + good})
    assert [unit.raw.decode() for unit in found.units()] == [good, good]
    ((position, reason, original),) = found.told["rows.csv"].rejected
    assert (position, original) == ("line 3", bad.encode())
    assert reason.startswith(BAD[bad])
    assert found.told["rows.csv"].units == 3


def test_bytes_that_are_no_text_and_rows_too_long_are_rejected() -> None:
    start = f"{ONE},e1,,lab,c,s,,".encode()
    bad = start + b"\x81\xff\n"
    found = read({"rows.csv": HEADER.encode() + bad + start + b"t" * (1 << 20) + b"\n"})
    (one, two) = found.told["rows.csv"].rejected
    assert one[0] == "line 2" and one[2] == bad and "expected UTF-8 or windows-1252" in one[1]
    assert two[0] == "line 3" and two[2] is None and "got a line longer" in two[1]


@pytest.mark.parametrize(
    "header", [HEADER.replace("unit", "einheit"), HEADER.replace("\n", ",who\n")]
)
def test_a_table_without_a_column_is_rejected_row_by_row(header: str) -> None:
    more = "," * (header.count(",") - HEADER.count(","))
    rows = [f"{ONE},e{n},,lab,c,s,,t{more}\n" for n in range(3)]
    found = read({"rows.csv": header + "".join(rows)})
    told = found.told["rows.csv"]
    assert not found.drafts and told.units == 3
    assert [original for _, _, original in told.rejected] == [row.encode() for row in rows]
    assert {"expected one column" in reason for reason in found.reasons("rows.csv")} == {True}
    told = read({"rows.csv": header}).told["rows.csv"]
    assert [original for _, _, original in told.rejected] == [header.encode()]


def test_people_are_registered_before_their_rows_and_others_are_not() -> None:
    people = PEOPLE + f"{ONE},7,Ada,King,10.12.1815,27.11.1852\n{TWO},8,,,1900,\n"
    stranger = str(UUID(int=3))
    rows = HEADER + "".join(f"{who},e1,,lab,c,s,,t\n" for who in (stranger, TWO, ONE))
    numbers = "no,k\n7,a\n9,b\n"
    found = read({"numbers.csv": numbers, "rows.csv": rows, "people.csv": people})
    doubt = "the birth date 1900 is more than 125 years ago"
    people_found = [d.person and replace(d.person, written=("", "")) for d in found.drafts]
    assert [(d.names, d.numbers, p) for d, p in zip(found.drafts, people_found, strict=True)] == [
        ((f"Patient/{ONE}",), ("#MR|7",), Person("Ada King", "1815-12-10", True)),
        ((f"Patient/{TWO}",), ("#MR|8",), Person("", None, False, doubt)),
        ((), ("#MR|9",), None),
        ((f"Patient/{stranger}",), (), None),
    ]
    first = found.drafts[0]
    assert [r.category for r in first.records] == ["demographics", "billing", "laboratory"]
    assert first.encounters == 1
    assert found.balanced()


def test_a_number_of_two_people_names_neither() -> None:
    people = PEOPLE + f"{ONE},7,A,,,\n{TWO},7,B,,,\n"
    found = read({"people.csv": people, "numbers.csv": "no,k\n7,a\n7,b\n"})
    assert [draft.person is None for draft in found.drafts] == [False, False, True]
    assert [len(draft.records[0].units) for draft in found.drafts] == [1, 1, 2]


def test_a_row_with_the_names_of_two_people_is_rejected() -> None:
    people = PEOPLE + f"{ONE},7,A,,,\n{TWO},8,B,,,\n"
    found = read({"people.csv": people, "both.csv": f"id,no\n{ONE},8\n{ONE},7\n{TWO},\n"})
    assert found.reasons("both.csv") == [
        "got a row with the names of two patients, expected those of one"
    ]
    assert found.balanced()


def test_rows_of_one_key_are_told_apart_over_all_files_of_a_table() -> None:
    row = f"{ONE},e1,2020-01-31,lab,c,LOINC,,t\n"
    found = read({"rows_1.csv": HEADER + row + row, "rows_2.csv": HEADER + row})
    base = f'rows ["Patient/{ONE}", "2020-01-31", "c"]'
    assert [unit.name for unit in found.units()] == [base, f"{base} 2", f"{base} 3"]
    assert [record.source and record.source.name for record in found.drafts[0].records] == [
        "rows_1.csv",
        "rows_2.csv",
    ]


def test_a_key_does_not_change_with_the_notation_of_a_date() -> None:
    one, two = (
        read({"rows.csv": HEADER + f"{who},e1,{day},lab,c,LOINC,,t\n"}).units()[0].name
        for who, day in ((ONE, "2020-01-31"), (ONE.upper(), "31.01.2020"))
    )
    assert one == two


def test_the_day_of_rows_without_encounter_is_one_that_all_share() -> None:
    for days, expected in (("12", None), ("11", "2020-01-01"), ("1", "2020-01-01")):
        rows = "".join(f"{ONE},,2020-01-0{day},,c,s,,t\n" for day in days)
        (record,) = read({"rows.csv": HEADER + rows}).drafts[0].records
        assert (record.category, record.encounter) == ("summary", None)
        assert record.clinical_date == expected


def test_a_long_title_is_cut_and_says_how_many_rows() -> None:
    rows = f"{ONE},e1,2020-01-31,lab,c,s,,{'ä' * 300}\n" * 3
    (record,) = read({"rows.csv": HEADER + rows}).drafts[0].records
    assert len(record.title.encode()) <= 200
    assert record.title.startswith("rows, 2020-01-31: ää") and record.title.endswith("… and 2 more")


def test_no_files_are_no_drafts() -> None:
    assert list(read_tables({}, Labels.default(), lambda path: Listed())) == []


def test_a_file_that_changes_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    path, told = tmp_path / "rows.csv", Listed()
    first = f"{ONE},e1,,lab,c,s,,t\n"
    path.write_text(HEADER + first + first.replace(ONE, TWO))
    table = Mapping.parse(MAPPING.replace("%s", ","), "m").table_of(path.name)
    assert table is not None
    drafts = read_tables({path: table}, Labels.default(), lambda path: told)
    assert next(drafts).names == (f"Patient/{ONE}",)
    path.write_text(HEADER + first + first)
    assert next(drafts).records == ()
    assert [(at, reason) for at, reason, _ in told.rejected] == [
        ("line 3", "got a file that changed while it was read")
    ]


def test_every_table_of_synthea_is_taken_whole() -> None:
    mapping = Path("imports/synthea.toml").read_text("utf-8")
    files = {}
    for table in Mapping.parse(mapping, "m").tables:
        columns = [*table.columns(), "OTHER"]
        ids = {naming.column for naming in table.patient}
        days = set(table.all_dates())
        row = [ONE if c in ids else "2020-01-31" if c in days else c.lower() for c in columns]
        files[table.files[0]] = ",".join(columns) + "\n" + ",".join(row) + "\n"
    found = read(files, mapping)
    assert len(files) == 18 and found.balanced()
    assert sum(told.references for told in found.told.values()) == 3
    assert not any(told.rejected or told.corrections for told in found.told.values())
    (draft,) = found.drafts
    assert draft.names == (f"Patient/{ONE}",) and draft.numbers == (f"#MR|{ONE}",)
    assert draft.records[0].category == "demographics" and len(draft.records) == 15
    assert Counter(record.category for record in draft.records)["billing"] == 3


@pytest.mark.parametrize(
    ("value", "category"),
    [
        ("laboratory", "laboratory"),
        ("vital-signs", "encounter"),
        ("survey", "encounter"),
        ("", "encounter"),
    ],
)
def test_observations_of_synthea_have_the_category_of_their_column(
    value: str, category: str
) -> None:
    header = "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n"
    rows = "".join(f"2020-01-31T08:30:00Z,{ONE},{e},{value},c,d,1,kg,numeric\n" for e in ("e", ""))
    text = Path("imports/synthea.toml").read_text("utf-8")
    found = read({"observations.csv": header + rows}, text)
    assert [record.category for record in found.drafts[0].records] == [category, "summary"]


def test_the_example_of_the_page_is_what_comes_of_it() -> None:
    blocks = re.findall(r"^```(csv|toml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (mapping,) = (text for kind, text in blocks if kind == "toml")
    *sources, content = (text for kind, text in blocks if kind == "csv")
    names = ("patienten.csv", "labor_2024.csv", "diagnosen.csv", "kliniken.csv")
    files = {name: text.encode("cp1252") for name, text in zip(names, sources, strict=True)}
    assert all(f"`{name}`" in PAGE for name in names)
    found = read(files, mapping)
    rows = re.findall(r"^\| (\d+) \| (\w+): `(.+)` \| (\d+) \| (.*)\|$", PAGE, re.MULTILINE)
    assert [
        (
            draft.numbers[0].split("|")[1],
            one.category,
            one.title,
            len(one.units),
            labels_of(one.units),
        )
        for draft in found.drafts
        for one in draft.records
    ] == [(number, kind, title, int(n), labels.strip()) for number, kind, title, n, labels in rows]
    one = found.drafts[0].records[1]
    assert b"".join(one.compose(one.units)).decode() == content
    assert found.drafts[0].names == ("https://st-anna.example/patnr|4711",)
    assert found.told["labor_2024.csv"].rejected == [
        (
            "line 5",
            "got no patient in the column PatNr, expected one",
            sources[1].encode("cp1252").splitlines(True)[4],
        )
    ]
    assert "*got no patient in the column PatNr, expected\none*" in PAGE
    assert found.told["kliniken.csv"].references == 1
    assert found.balanced()


def labels_of(units: Iterable[Unit]) -> str:
    return " ".join(sorted({label for unit in units for label in unit.labels}))
