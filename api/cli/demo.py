"""`demo`: end to end on generated data."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.app import WRONG, app, fail


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Option(help="A folder for the demo: new, or made by an earlier demo.")
    ] = Path("heartwood-demo"),
) -> None:
    """Run end to end on generated data: upload, grant, read, refuse, revoke, verify, tamper."""
    from demo import DemoFailed, run

    try:
        run(directory, print)
    except DemoFailed as failed:
        raise typer.Exit(fail(WRONG, "demo", f"the demo failed: {failed}")) from failed
