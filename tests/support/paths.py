"""Where things lie in this repository."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The repository."""
GOLDEN: Final = ROOT / "tests" / "golden"
FIXTURES: Final = ROOT / "tests" / "fixtures"
"""What released programs left behind."""
