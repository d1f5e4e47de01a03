"""Import of existing hospital data: every unit found is imported, referred to, or set aside with the reason."""

from records.imports.run import Summary, import_bundles

__all__ = ["Summary", "import_bundles"]
