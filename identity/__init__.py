"""Who is who: key files, actors and what they sign."""
