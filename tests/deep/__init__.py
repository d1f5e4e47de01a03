"""The deep tests: fault-injection runs of many cases, by `make deep` or `python -m tests.deep NAME…`."""
