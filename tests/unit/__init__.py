"""Fast tests, in a folder for each package that they test."""
