"""Tests with real engines, processes and kills, in a folder for each package that they test."""
