"""Where blobs are, as the setting says it: what is taken, and what is refused with what was expected."""

import sys
from pathlib import Path
from subprocess import run

import pytest

from durable.errors import StartRefused
from storage.blobs.place import S3Place, SeveralPlaces, parse_place

DEFAULT = Path("data/blobs")
TAKEN = {
    "": DEFAULT,
    "file:/srv/blobs": Path("/srv/blobs"),
    "file:///srv/our%20blobs": Path("/srv/our blobs"),
    "s3://wards": S3Place("wards"),
    "s3://wards/": S3Place("wards"),
    "s3://wards/a/b/": S3Place("wards", "a/b/"),
    "s3://wards?endpoint=https://s3.example/": S3Place("wards", "", "https://s3.example"),
    "s3://wards/x?endpoint=http://127.0.0.1:7070&region=eu-central-1": S3Place(
        "wards", "x/", "http://127.0.0.1:7070", "eu-central-1"
    ),
    "s3://wards/x?owner=012345678901&encryption=aws:kms&kms-key=alias/h&lock=compliance&days=3650&hold=on": S3Place(
        "wards", "x/", "", "", "012345678901", "aws:kms", "alias/h", "COMPLIANCE", 3650, True
    ),
    "s3://wards?endpoint=http://127.0.0.1:7070&public-endpoint=https://s3.example": S3Place(
        "wards", "", "http://127.0.0.1:7070", public_endpoint="https://s3.example"
    ),
}
REFUSED = {
    "/srv/blobs": "expected file:/path or s3://",
    "S3://wards": "expected file:/path or s3://",
    "https://s3.example/wards": "expected file:/path or s3://",
    "file:": "expected file:/path",
    "s3://": "a bucket's name",
    "s3://Wards": "a bucket's name",
    "s3://w": "a bucket's name",
    "s3://key:secret@wards": "holds credentials",
    "s3://wards/../other": "a prefix of letters",
    "s3://wards/a//b": "a prefix of letters",
    "s3://wards/a%0ab": "a prefix of letters",
    "s3://wards#x": "a bucket's name",
    "s3://wards?Endpoint=https://s3.example": "of options endpoint, region",
    "s3://wards?region=a&region=b": "each option once",
    "s3://wards?region": "name=value",
    "s3://wards?endpoint=http://s3.example": "https://host",
    "s3://wards?endpoint=ftp://s3.example": "https://host",
    "s3://wards?endpoint=https://key@s3.example": "https://host",
    "s3://wards?endpoint=https://s3.example/path": "https://host",
    "s3://wards?public-endpoint=http://s3.example": "public-endpoint='http://s3.example', expected https://host",
    "s3://wards?owner=1234": "12 digits",
    "s3://wards?encryption=none": "AES256, aws:kms",
    "s3://wards?lock=governance": "lock and days together",
    "s3://wards?days=3": "lock and days together",
    "s3://wards?lock=strict&days=3": "governance or compliance",
    "s3://wards?lock=governance&days=0": "a number from 1 to 36500",
    "s3://wards?lock=governance&days=-1": "a number from 1 to 36500",
    "s3://wards?lock=governance&days=99999999999999999999": "a number from 1 to 36500",
    "s3://wards?hold=yes": "on or off",
}


@pytest.mark.parametrize("text", TAKEN)
def test_taken(text: str) -> None:
    assert parse_place(text, DEFAULT) == TAKEN[text]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(StartRefused) as told:
        parse_place(text, DEFAULT)
    assert REFUSED[text] in str(told.value) and "secret" not in str(told.value)


def test_a_place_is_shown_without_options() -> None:
    place = parse_place("s3://wards/x?endpoint=https://s3.example&lock=governance&days=1", DEFAULT)
    assert str(place) == "s3://wards/x at https://s3.example"


def test_boto3_is_loaded_for_s3_alone() -> None:
    code = "import sys; import api.cli, storage.blobs.place; sys.exit('boto3' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


SEVERAL_REFUSED = {
    ("a=file:/x", 0): "2 to 7 stores with names, not 1",
    ("a=file:/x a=file:/y", 0): "not a twice",
    ("a=file:/x b=file:/x", 0): "b is another one's place",
    ("a=s3://wards/x?days=1&lock=governance b=s3://wards/x", 0): "b is another one's place",
    ("a=file:/x file:/y", 0): "name=file:/path or name=s3://",
    ("a=file:/x b=/y", 0): "name=file:/path or name=s3://",
    ("a=file:/x b=s3://key:secret@wards", 0): "holds credentials",
    ("a=file:/x b=file:/y", 1): "expected 2 to 2 of 2 stores",
    ("a=file:/x b=file:/y c=file:/z", 1): "expected 2 to 3 of 3 stores",
    ("a=file:/x b=file:/y c=file:/z", 4): "expected 2 to 3 of 3 stores",
    ("a=file:/x b=file:/y", -1): "expected 2 to 2 of 2 stores",
    ("file:/x", 2): "names one store",
    ("", 2): "names one store",
}


@pytest.mark.parametrize(("text", "quorum"), SEVERAL_REFUSED)
def test_several_refused(text: str, quorum: int) -> None:
    with pytest.raises(StartRefused) as told:
        parse_place(text, DEFAULT, quorum)
    assert SEVERAL_REFUSED[text, quorum] in str(told.value)


def test_several() -> None:
    """By name and in order; the quorum is a majority if nothing is said."""
    text = "east=s3://wards/x?region=eu-central-1  west=file:/srv/our%20blobs c=file:/c d=file:/d"
    stores = (
        ("east", S3Place("wards", "x/", "", "eu-central-1")),
        ("west", Path("/srv/our blobs")),
        ("c", Path("/c")),
        ("d", Path("/d")),
    )
    assert parse_place(text, DEFAULT) == SeveralPlaces(stores, 3)
    assert parse_place(text, DEFAULT, 4) == SeveralPlaces(stores, 4)
    assert str(parse_place(text, DEFAULT)).startswith("east=s3://wards/x west=file:/srv/our")
