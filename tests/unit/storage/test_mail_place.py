"""The setting that names a mail server: what it takes, and that it never lets a password out without TLS."""

from pathlib import Path

import pytest

from api.app.mail import mail_of
from api.app.settings import Settings
from durable.errors import StartRefused
from storage.mail.folder import MailFolder
from storage.mail.place import MailPlace, parse_mail, parse_sender

SECRET = "a-mail-password-4711"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("smtp://mail.example.com", MailPlace("mail.example.com", 587, "starttls")),
        ("smtp://mail.example.com:25/", MailPlace("mail.example.com", 25, "starttls")),
        ("smtps://mail.example.com", MailPlace("mail.example.com", 465, "tls")),
        ("smtp://127.0.0.1:25?tls=none", MailPlace("127.0.0.1", 25, "none")),
        ("smtp://[::1]:25?tls=none", MailPlace("::1", 25, "none")),
        ("smtps://h?ca=/etc/ca.pem", MailPlace("h", 465, "tls", authority="/etc/ca.pem")),
    ],
)
def test_places(text: str, place: MailPlace) -> None:
    assert parse_mail(text, None) == place


def test_a_user_has_a_password(password: Path) -> None:
    place = parse_mail("smtp://records%40example.com@mail.example.com", password)
    assert (place.user, place.password) == ("records@example.com", SECRET)
    assert SECRET not in repr(place)


@pytest.mark.parametrize(
    "text",
    [
        "mail.example.com", "http://mail.example.com", "smtp://", "smtp://h/path", "smtp://h#x", "smtp://h:x", "smtp://h:99999",
        "smtp://h?tls=starttls", "smtp://h?x=1", "smtp://h?tls", "smtp://mail.example.com?tls=none",
    ],
)  # fmt: skip
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(StartRefused, match="HEARTWOOD_MAIL"):
        parse_mail(text, None)


@pytest.mark.parametrize(
    "text", ["smtp://user@127.0.0.1:25?tls=none", "smtp://user@localhost?tls=none"]
)
def test_no_password_goes_without_tls(text: str, password: Path) -> None:
    with pytest.raises(StartRefused, match="never sent without TLS"):
        parse_mail(text, password)


def test_the_password_stands_in_a_private_file(password: Path) -> None:
    with pytest.raises(StartRefused, match="holds a password") as refused:
        parse_mail(f"smtp://user:{SECRET}@mail.example.com", None)
    assert SECRET not in str(refused.value)
    with pytest.raises(StartRefused, match="needs a password's file"):
        parse_mail("smtp://user@mail.example.com", None)
    with pytest.raises(StartRefused, match="the file a user"):
        parse_mail("smtp://mail.example.com", password)
    password.chmod(0o640)
    with pytest.raises(StartRefused, match="readable by others"):
        parse_mail("smtp://user@mail.example.com", password)
    with pytest.raises(StartRefused, match="can't be read"):
        parse_mail("smtp://user@mail.example.com", password.with_name("none"))


@pytest.mark.parametrize(
    "text", ["x", "a@b", "a@example.com\nBcc: b@example.com", "A <a@example.com>"]
)
def test_what_is_no_sender(text: str) -> None:
    with pytest.raises(StartRefused, match="HEARTWOOD_MAIL_FROM"):
        parse_sender(text)


def test_a_server_needs_a_sender(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="set HEARTWOOD_MAIL_FROM"):
        mail_of(Settings(data=tmp_path, mail="smtp://mail.example.com"))
    assert isinstance(mail_of(Settings(data=tmp_path)), MailFolder)
