"""Read, encode and write videos."""
