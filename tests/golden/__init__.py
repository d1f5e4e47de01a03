"""Golden files: what the formats looked like when they were written, kept for ever."""
