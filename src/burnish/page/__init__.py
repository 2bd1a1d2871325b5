"""A page that edits photos in the browser: its files, the site made of them, and its server."""
