"""Reading, encoding and writing of videos."""
