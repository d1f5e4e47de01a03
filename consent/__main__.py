"""The auditor's second tool: `python -P -m consent audit DIR --vkey FILE`.

Exit codes: 0 good, 1 found wrong, 2 used wrongly, 3 consistent but origin unproven, 4 could not run.
"""

import sys
from pathlib import Path

_PACKAGES = ("api", "client", "consent", "crypto", "demo", "durable", "identity", "imports", "journeys", "keeper",
             "ledger", "people", "records", "storage", "synthetic")  # fmt: skip


def _refuse_shadows() -> None:
    """An export with a folder `crypto/` would otherwise run its code; so nothing is imported before this."""
    here, home = Path.cwd(), Path(__file__).resolve().parent.parent
    shadows = [
        name for name in _PACKAGES if (here / name).exists() or (here / f"{name}.py").exists()
    ]
    if shadows and here.resolve() != home:
        print(
            f"consent: this folder holds {shadows[0]!r}, whose code could run instead of the auditor's. "
            "Change into another folder and name the export by its path.",
            file=sys.stderr,
        )
        raise SystemExit(4)


if __name__ == "__main__":
    _refuse_shadows()
    try:
        from consent.auditor import main
    except ImportError as error:
        print(
            f"could not run: {error}; it needs Python 3.11, PyNaCl and cryptography",
            file=sys.stderr,
        )
        raise SystemExit(4) from None
    raise SystemExit(main(sys.argv[1:]))
