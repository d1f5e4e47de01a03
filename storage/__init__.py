"""All input and output: SQL, the entry store, the log's batch thread, blobs, keys, exports."""
