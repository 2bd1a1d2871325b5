"""Stage 2: the students, nn.Module only, one file an idea."""
