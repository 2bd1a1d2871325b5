"""Edits that need a region: each is a picture, and the region is where it shows, or does not."""
