"""The witness: its folder, its answers, its deaths."""
