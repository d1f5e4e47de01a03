"""The log as format and state machine: event, entry, chain, tree, tiles, checkpoint, proof, verifier.

Pure: no file, no clock, no SQL; time comes in as an argument (`__main__`, the auditor's tool, apart).
"""
