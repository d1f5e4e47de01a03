"""Mappings of tables: what they say is read strictly, and the page that explains them says the same as the code."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.mapping import KEYS, PATIENTS, REFERENCE, ROWS, Code, Mapping, Naming
from imports.rows import ROW_BYTES
from journeys.errors import RecordsError
from ledger.codes import CATEGORIES

PAGE = Path("docs/import-tables.md").read_text("utf-8")
LAB = """
[tables.lab]
files = ["lab_*.csv", "LAB.TXT"]
kind = "rows"
patient = { column = "P", as = "uuid" }
key = "K"
category = "laboratory"
"""


def test_the_page_explains_every_key_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", PAGE, re.MULTILINE)
    assert {key: tuple(kinds.split()) for key, kinds in rows} == KEYS
    assert len(rows) == len(KEYS)


def test_the_page_names_every_category_and_limit() -> None:
    listed = re.findall(r"`(\w+)`", PAGE.split("Categories are ", 1)[1].split(";", 1)[0])
    assert tuple(listed) == CATEGORIES
    assert ROW_BYTES == 1 << 20 and "longer than 1 MiB" in PAGE


def test_synthea_has_its_tables() -> None:
    tables = Mapping.default().tables
    kinds = {
        kind: {t.name for t in tables if t.kind == kind} for kind in (PATIENTS, ROWS, REFERENCE)
    }
    assert kinds[PATIENTS] == {"patients"}
    assert kinds[REFERENCE] == {"organizations", "providers", "payers"}
    assert kinds[ROWS] == {
        *("allergies", "careplans", "claims", "claims_transactions", "conditions", "devices"),
        *("encounters", "imaging_studies", "immunizations", "medications", "observations"),
        *("payer_transitions", "procedures", "supplies"),
    }
    billing = {t.name for t in tables if t.category.default == "billing"}
    assert billing == {"claims", "claims_transactions", "payer_transitions"}


def test_the_first_table_that_fits_has_the_file() -> None:
    mapping = Mapping.parse(LAB + LAB.replace("tables.lab", "tables.later"), "m")
    for name in ("lab_2020.csv", "LAB_x.CSV", "lab.txt"):
        table = mapping.table_of(name)
        assert table is not None and table.name == "lab"
    assert mapping.table_of("xlab_2020.csv") is None


def test_one_and_several_columns_are_written_alike() -> None:
    more = 'codes = [{ column = "C", system = "LOINC" }, { column = "D", system_column = "S" }]\n'
    (table,) = Mapping.parse(LAB + more + 'dates = "A"\nunits = ["U", "V"]', "m").tables
    assert table.patient == (Naming("P", "uuid"),)
    assert table.codes == (Code("C", "LOINC"), Code("D", "", "S"))
    assert (table.key, table.dates, table.units) == (("K",), ("A",), ("U", "V"))
    assert table.columns() == ("P", "K", "C", "D", "S", "A", "U", "V")


FAULTS = {
    "[tables.lab]": ("[tables.lab", "m: is not valid TOML"),
    'kind = "rows"': ('kind = "row"', "tables.lab.kind: got 'row', expected one of 'patients'"),
    'key = "K"': ("", "tables.lab.key: got nothing, expected a text or a list"),
    '"laboratory"': ('"lab"', "tables.lab.category: got 'lab', expected one of 'billing'"),
    'category = "laboratory"': ("", "tables.lab.category: got nothing, expected a category"),
    'category = "lab': ('name = "lab', "tables.lab.name: got 'laboratory', expected no such key"),
    'as = "uuid"': ('as = "name"', "tables.lab.patient[0].as: got 'name', expected one of 'uuid'"),
    'as = "uuid" ': ('as = "identifier" ', "patient[0].system: got nothing, expected a text"),
    '{ column = "P", as = "uuid" }': ('"P"', "tables.lab.patient: got 'P', expected { column"),
    '"K"': ('["K", 1]', "tables.lab.key: got ['K', 1], expected a text or a list of texts"),
    'key = "': ('encoding = "rot13"\nkey = "', "tables.lab.encoding: got 'rot13', expected a char"),
    "files": ('delimiter = "#"\nfiles', "tables.lab.delimiter: got '#', expected one of ','"),
    "lab]": ('"a b"]', "tables.a b.name: got 'a b', expected a table's name"),
    "tables.": ("table.", "m, table: got"),
}


@pytest.mark.parametrize("right", FAULTS)
def test_a_fault_is_told_with_its_place(right: str) -> None:
    wrong, told = FAULTS[right]
    assert right in LAB
    with pytest.raises(RecordsError, match=re.escape(told)):
        Mapping.parse(LAB.replace(right, wrong, 1), "m")


VALUES = st.recursive(
    st.sampled_from(['"x"', '""', "1", "true", '"uuid"', '"rows"', '"reference"', '"billing"']),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]"),
        st.dictionaries(
            st.sampled_from(["column", "as", "system", "values", "default"]), inner, max_size=3
        ).map(lambda m: "{" + ", ".join(f"{k} = {v}" for k, v in m.items()) + "}"),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), VALUES, max_size=8))
def test_any_keys_are_a_mapping_or_refused_with_their_place(keys: dict[str, str]) -> None:
    text = "[tables.t]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items())
    refused = ""
    try:
        mapping = Mapping.parse(text, "m.toml")
    except RecordsError as error:
        refused = str(error)
    else:
        assert mapping.tables[0].kind in (PATIENTS, ROWS, REFERENCE)
    assert not refused or refused.startswith("m.toml, tables.t.")


def test_what_is_no_mapping_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="cannot be read"):
        Mapping.read(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(RecordsError, match="byte 5 is not UTF-8"):
        Mapping.read(tmp_path / "m.toml")
    (tmp_path / "m.toml").write_text("\ufeff" + LAB, "utf-8")
    assert Mapping.read(tmp_path / "m.toml").tables[0].name == "lab"
