"""The tutorials work: each is followed from its first command to its last, in an empty folder."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from api.app.settings import Settings
from identity.actors import write_keyfile
from tests.integration.storage.test_upgrade import old_ledger
from tests.support.paths import ROOT
from tests.support.postgres import Cluster
from tests.support.tutorials import TUTORIALS, Step, follow, go, steps

AUDITORS = ("nacl", "cryptography", "_cffi_backend*", "cffi", "pycparser")
"""What pip installs for `pynacl cryptography`."""
PACKAGES = (
    "api", "client", "consent", "crypto", "demo", "docs", "durable", "identity", "imports", "journeys", "keeper", "ledger", "people",
    "records", "storage", "synthetic", "tests",
    "pyproject.toml",
)  # fmt: skip


def test_a_hospitals_system_is_connected(cluster: Cluster, tmp_path: Path) -> None:
    follow("integrator.md", tmp_path, {"HEARTWOOD_DATABASE_URL": cluster.database()})


def test_a_ledger_is_kept(tmp_path: Path) -> None:
    """The page's last part upgrades a ledger that the first program made."""
    old_ledger(Settings(data=tmp_path / "old", database_url=""))
    follow("operator.md", tmp_path)


def test_an_auditor_alone(tmp_path: Path) -> None:
    auditors_python(tmp_path / "auditor" / "tools")
    follow("auditor.md", tmp_path)


def auditors_python(folder: Path) -> None:
    """A Python with PyNaCl and cryptography and nothing else, as the page's `pip install` makes it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for pattern in AUDITORS:
        for found in here.glob(pattern):
            (packages / found.name).symlink_to(found)


def test_an_event_type_is_added(tmp_path: Path) -> None:
    """To a copy of the program as it is, and to a ledger that the first program made."""
    clone = tmp_path / "heartwood"
    clone.mkdir()
    for name in PACKAGES:
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, clone / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, clone)
    old = old_ledger(Settings(data=tmp_path / "old", database_url=""))
    write_keyfile(tmp_path / "doctor.key", old.doctor)
    write_keyfile(tmp_path / "patient.key", old.pat.actor)
    named = {"RECORD": old.record, "PATIENT": old.pat.patient, "PYTHONPATH": str(clone)}
    follow("developer.md", tmp_path, named)


def test_every_tutorial_is_followed() -> None:
    tested = Path(__file__).read_text()
    for page in TUTORIALS.glob("*.md"):
        assert f'follow("{page.name}"' in tested, page.name


WRONG = {
    "other words": "$ echo one\ntwo",
    "more words": "$ echo one two\none",
    "fewer lines": "$ printf 'one\\ntwo\\n'\none",
    "nothing said of what is printed": "$ echo one",
    "nothing printed": "$ true\none",
    "a failure": "$ false",
    "another code": "$ (exit 3)\n$ echo $?\n1",
    "an early end": "$ exit 0\n$ echo one\none",
}


@pytest.mark.parametrize("page", WRONG.values(), ids=WRONG.keys())
def test_a_page_that_says_otherwise_is_found(page: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        go(list(steps(f"```console\n{page}\n```\n")), tmp_path)


def test_what_a_page_may_say(tmp_path: Path) -> None:
    page = """\
Save as `told.txt`:

```text
one $HOME
```

```sh
false
```

```console
$ cat told.txt; \\
echo $((6 * 7)) "2"
one $HOME
… 2
$ seq 9
1
…
9
$ (exit 3)
$ echo $?
3
```
"""
    assert list(steps("```console\n$ a\nb\n```\n")) == [Step("a", ["b"])]
    go(list(steps(page)), tmp_path)
