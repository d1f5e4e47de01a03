"""What is deployed, tried."""
