"""The deep tests: campaigns of many cases, by `make deep` or `python -m tests.deep NAME…`."""
