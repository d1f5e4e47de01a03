"""What whoever holds a key asks of a ledger: the port, its clients, and what each journey signs."""
