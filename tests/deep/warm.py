"""Imported by the server that children are forked from, and by nobody else: one journey, so that none of
them has anything left to import, or a statement to compile, when its system calls are counted.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine

from api.app.settings import Settings
from tests.deep import journey, load
from tests.deep.injection import quiet
from tests.deep.report import Report


def _warm_up() -> None:
    quiet()
    create_engine("postgresql+psycopg://").dispose()  # imports the driver
    with TemporaryDirectory() as folder:
        fixture, crowd = load.found(Settings(data=Path(folder) / "data"), patients=1)
        report = Report(Path(folder) / "report")
        report.go()
        journey.walk(fixture.settings, crowd, report, "main")


_warm_up()
