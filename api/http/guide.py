"""The guide's table of routes: `python -m api.http.guide` makes it anew in docs/http.md, from the list of operations."""

import re
from pathlib import Path

from client.operations import OPERATIONS

PAGE = Path("docs/http.md")
_TABLE = re.compile(r"(?<=<!-- operations -->\n).*(?=<!-- /operations -->\n)", re.DOTALL)
_HEAD = "| route | door | what |\n| --- | --- | --- |\n"
_TAIL = """\
| `GET /healthz`, `/readyz`, `/metrics` | open | running; serving; Prometheus text. Keep them inside |
| `GET /openapi.json` | open | this list, for machines (also at `/v1/openapi.json`) |
"""


def guide(page: str) -> str:
    """The page with its table as the operations are now; raises ValueError where it has no place for it."""
    rows = "".join(f"{operation.row}\n" for operation in OPERATIONS)
    made, count = _TABLE.subn(lambda _: _HEAD + rows + _TAIL, page)
    if count != 1:
        raise ValueError(
            f"{PAGE}: expected one table between <!-- operations --> and <!-- /operations -->"
        )
    return made


if __name__ == "__main__":
    PAGE.write_text(guide(PAGE.read_text()))
