"""A witness for other logs (C2SP tlog-witness): it follows each log's checkpoints and cosigns the one history it saw."""
