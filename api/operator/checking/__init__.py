"""What is missing or unsafe in how a ledger is set up: `heartwood check-setup`. Nothing here changes anything."""

from api.app.settings import Settings
from api.operator.checking.database import check_database
from api.operator.checking.files import check_files
from api.operator.checking.findings import Finding
from api.operator.checking.machine import check_machine
from api.operator.checking.roots import check_roots
from api.operator.checking.surroundings import check_surroundings

__all__ = ["Finding", "check_setup"]


def check_setup(settings: Settings) -> list[Finding]:
    """Everything that is known of a setup, in the order of a walk through it; raises StartRefused where no ledger is."""
    checks = (check_machine, check_files, check_roots, check_database, check_surroundings)
    return [finding for check in checks for finding in check(settings)]
