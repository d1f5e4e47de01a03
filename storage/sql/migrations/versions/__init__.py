"""One module a revision, never altered once a ledger may have it."""
