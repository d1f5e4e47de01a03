"""The faces: the command line (and later HTTP and the portal). Thin; `app` alone wires things."""
