"""SoftHSM2, a PKCS#11 token in software, for the tests: installed from Debian's package where the tests run as root.

token = SoftToken.make(folder)
os.environ["SOFTHSM2_CONF"] = str(token.conf)
token.add_key("heartwood")
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pkcs11

from keeper.roots import Pkcs11Place

PACKAGE = "softhsm2"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
INSTALL_LOCK = Path("/run/heartwood-softhsm-install.lock")
INSTALL_SECONDS = 600
PIN = "4711"


class SoftHsmMissing(Exception):
    """It isn't here, and can't be installed; the text is one line for people."""


def find_or_install() -> str:
    """The module's path, installed now where this process may; raises SoftHsmMissing."""
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with INSTALL_LOCK.open("w") as lock:  # of several test processes one installs
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = _find() or _install()
    if found is None:
        raise SoftHsmMissing(
            f"SoftHSM2 is missing (Debian: apt-get install {PACKAGE}): tests of roots in a token"
        )
    return found


def _find() -> str | None:
    found = [path for path in MODULES if Path(path).exists()]
    return found[0] if found and shutil.which("softhsm2-util") else None


def _install() -> str | None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", PACKAGE]):
        subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, timeout=INSTALL_SECONDS
        )  # fmt: skip
    return _find()


@dataclass(frozen=True)
class SoftToken:
    """A token in a folder of its own; `add_key` puts keys into it."""

    conf: Path
    """SOFTHSM2_CONF."""
    module: str

    @classmethod
    def make(cls, folder: Path) -> Self:
        """A new one; raises SoftHsmMissing."""
        module = find_or_install()
        (folder / "tokens").mkdir(parents=True)
        conf = folder / "softhsm2.conf"
        conf.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        made = cls(conf, module)
        command = [
            "--init-token",
            "--free",
            "--label",
            "hospital",
            "--pin",
            PIN,
            "--so-pin",
            "815815",
        ]
        made._util(*command)
        return made

    @property
    def place(self) -> Pkcs11Place:
        """The key `heartwood` in it."""
        return Pkcs11Place(self.module, "hospital", "heartwood")

    @property
    def setting(self) -> str:
        """HEARTWOOD_RECORD_ROOT for that key."""
        return f"pkcs11:{self.module}?token=hospital&label=heartwood"

    def add_key(self, label: str) -> None:
        """Make an AES key in it; SOFTHSM2_CONF must be set to its own."""
        library = pkcs11.lib(self.module)
        try:
            with library.get_token(token_label="hospital").open(user_pin=PIN, rw=True) as session:
                session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True)
        finally:
            library.finalize()

    def _util(self, *arguments: str) -> None:
        environment = os.environ | {"SOFTHSM2_CONF": str(self.conf)}
        subprocess.run(
            ["softhsm2-util", *arguments], env=environment, check=True, capture_output=True
        )
