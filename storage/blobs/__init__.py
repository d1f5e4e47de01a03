"""Where ciphertext lies."""
