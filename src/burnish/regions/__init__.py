"""Stage 7: where an edit shows: objects found by a detector, selected, and refined at edges."""
