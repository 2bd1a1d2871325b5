"""Stage 4: smaller and faster, the same function within a stated error."""
