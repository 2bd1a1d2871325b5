"""A face: one file a command, no logic."""
