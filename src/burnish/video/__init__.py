"""Films: decoded, edited and encoded in one pipe, and everything else in them kept."""
