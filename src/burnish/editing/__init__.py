"""Edit photos and videos: single edits, regions, plans, batches, history and replay."""
