"""Records: what a hospital keeps about a patient, and the ways it comes in."""
