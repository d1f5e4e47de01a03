"""What the server's half of every journey shares: appending, sealing texts, names, days, errors."""
