"""What several tests stand on: ledgers with people in them, servers, engines, exports, random sequences."""
