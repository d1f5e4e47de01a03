"""`python -m keeper`: the key keeper as a child of the process that starts it and tells it, on standard input, what to be."""

import logging
import sys

from keeper.process import be_child

logging.basicConfig(level=logging.WARNING, format="key keeper: %(message)s")
sys.exit(be_child())
