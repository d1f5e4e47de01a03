"""Care of a ledger's data while it works: back up, restore, compare with the log, sweep what nothing names."""
