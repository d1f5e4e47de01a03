"""Import of existing hospital data: every unit found is imported, referred to, or set aside with the reason."""
