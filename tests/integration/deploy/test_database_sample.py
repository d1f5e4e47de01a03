"""The compose file's database, as far as it runs without an engine: its certificate, made and asked for as the file says."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.paths import ROOT
from tests.support.postgres import Cluster, PostgresMissing

COMPOSE = ROOT / "deploy" / "container" / "compose.yml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of this test's own; without a server it is skipped, but never in CI."""
    try:
        running = Cluster.start()
    except PostgresMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    with running:
        yield running


def certificate(folder: Path) -> tuple[Path, Path]:
    """What the command in the file's head makes: certificate and key."""
    words = re.search(r"#\s+(openssl req.*?secrets/db\.crt)", COMPOSE.read_text(), re.DOTALL)
    assert words is not None
    command = re.sub(r"\\\n#", " ", words[1])
    (folder / "secrets").mkdir()
    subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)
    return folder / "secrets" / "db.crt", folder / "secrets" / "db.key"


def test_the_database_must_show_who_it_is(cluster: Cluster, tmp_path: Path) -> None:
    """TLS 1.3, by the name that the service calls; another name, or another certificate, is no database of ours."""
    made, key = certificate(tmp_path)
    home = cluster.log.parent / "data"
    owner = home.stat()
    for source, name in ((made, "db-certificate"), (key, "db-key")):
        shutil.copy(source, home / name)
        os.chown(home / name, owner.st_uid, owner.st_gid)
        (home / name).chmod(0o600)
    url = urlsplit(cluster.database().replace("+psycopg", ""))
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        for option in SERVICES["db"]["command"]:
            name, value = option.removeprefix("-c").split("=")
            place = value.replace("/run/secrets/", f"{home}/")
            connection.execute(f"ALTER SYSTEM SET {name} = '{place}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    asked = urlsplit(SERVICES["service"]["environment"]["HEARTWOOD_DATABASE_URL"])
    given = {
        "host": str(asked.hostname), "hostaddr": str(url.hostname), "port": str(url.port), "user": str(url.username),
        "password": str(url.password), "dbname": url.path[1:], "sslmode": parse_qs(asked.query)["sslmode"][0],
        "sslrootcert": str(made),
    }  # fmt: skip
    with psycopg.connect(**given) as connection:
        row = connection.execute("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert row.fetchone() == ("TLSv1.3",)
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(**given | {"host": "elsewhere"})
    (tmp_path / "other").mkdir()
    other, _ = certificate(tmp_path / "other")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(**given | {"sslrootcert": str(other)})
