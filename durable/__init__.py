"""Files that survive a crash: the bottom of all that writes to a disk."""
