"""Tests: fast ones in unit/, those with real engines, processes and kills in integration/; both stand on support/."""
