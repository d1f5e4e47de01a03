"""`python -m api.cli.reference`: docs/commands.md, made from the commands themselves."""

import typer.main
from typer.cli import get_docs_for_click

from api.cli import app


def reference() -> str:
    """Every command and option, as Markdown."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="heartwood")
    return get_docs_for_click(obj=command, ctx=context, name="heartwood").strip() + "\n"


if __name__ == "__main__":
    print(reference(), end="")
