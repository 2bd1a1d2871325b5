"""Stage 8: photo in, photo out."""
