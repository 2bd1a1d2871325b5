"""The service: edits over HTTP on this machine, by networks in a process of their own."""
