"""Who may do what, and why: facts, `decide`, replay. Pure: no clock, no I/O, no randomness."""
