"""What the operator does beside the data."""
