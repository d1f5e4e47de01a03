"""What every face shares: what is logged and what is counted."""
