"""Stage 1: the slow references, plain numerical Python, one file a paper."""
