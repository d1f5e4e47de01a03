"""The faces: the command line (and later HTTP and the portal). Thin; `bootstrap` alone wires things."""
