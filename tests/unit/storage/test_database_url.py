"""The database's URL: libpq's lists of servers, what is added to it, and that nobody reads a password."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from durable.errors import StartRefused
from storage.sql.postgres import connecting, hosts_of, read_url

SECRET = "s3cret"
TAKEN = {
    "postgres://u:p@h/d": ("h", None),
    "postgresql://u:p@h:5433/d": ("h", 5433),
    "postgresql+psycopg://u@/d?host=a,b,c&port=1,2,3&target_session_attrs=read-write": ("a,b,c", "1,2,3"),
    "postgresql://u@/d?host=a,b,c&port=7": ("a,b,c", "7,7,7"),
    "postgresql://u:p@a:1,b:2,c:3/d": ("a,b,c", "1,2,3"),
    "postgresql://u:p@a:1,b:2/d?sslmode=verify-full": ("a,b", "1,2"),
    "postgresql://u@/d?host=/run/a,/run/b&port=1,2": ("/run/a,/run/b", "1,2"),
    "postgresql://u@/d?host=a:1&host=b:2": ("a,b", "1,2"),
}  # fmt: skip
REFUSED = (
    f"postgresql://u:{SECRET}@more@h:x{SECRET}/d",
    f"postgresql://u:a@b:{SECRET}@h/d:{SECRET}",
    f"postgresql://u:p@h:{SECRET}/d",
    f"postgresql://{SECRET}:{SECRET}:{SECRET}",
    f"{SECRET}",
    f"mysql://u:{SECRET}@h/d",
    f"postgresql+asyncpg://u:{SECRET}@h/d",
)


@pytest.mark.parametrize("text", TAKEN)
def test_what_libpq_is_given(text: str) -> None:
    """Hosts and ports of each form."""
    url = make_url(read_url(text))
    _, given = create_engine(url).dialect.create_connect_args(url)
    assert (given["host"], given.get("port")) == TAKEN[text]
    assert (given["dbname"], given["user"]) == ("d", "u")
    assert len(hosts_of(url)) == TAKEN[text][0].count(",") + 1


@pytest.mark.parametrize("text", REFUSED)
def test_a_url_that_is_none(text: str) -> None:
    """Refused in words that quote nothing of it, cause included."""
    with pytest.raises(
        StartRefused, match=r"HEARTWOOD_DATABASE_URL is not a valid URL.*%40"
    ) as caught:
        read_url(text)
    assert SECRET not in f"{caught.value}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_is_added() -> None:
    """Time-outs and the search for the primary, unless the URL says otherwise; its own options stay."""
    given = connecting("postgresql+psycopg://u@h/d")
    assert given["target_session_attrs"] == "read-write"
    assert {"connect_timeout", "tcp_user_timeout", "keepalives_idle"} <= given.keys()
    assert "lock_timeout" in given["options"]
    own = "postgresql+psycopg://u@h/d?target_session_attrs=primary&connect_timeout=3&options=-c%20work_mem%3D8MB"
    said = connecting(own)
    assert {"target_session_attrs", "connect_timeout"}.isdisjoint(said)
    assert said["options"].endswith("-c work_mem=8MB")
