"""Import of existing hospital data: every unit found is imported, referred to, or set aside with the reason."""

from imports.report import Report, Summary
from imports.run import Options, import_paths

__all__ = ["Options", "Report", "Summary", "import_paths"]
