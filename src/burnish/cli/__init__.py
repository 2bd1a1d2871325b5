"""The command line: options, progress and printed output."""
