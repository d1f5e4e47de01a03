"""Bytes in, bytes out: canonical JSON, signatures, notes, blobs and wraps. Imports nothing of ours."""
