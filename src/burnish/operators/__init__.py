"""Stage 1: the slow references, plain numerical Python, one file a paper."""

import os

# Threads that wait for each other should sleep, not spin: the sparse solver's loops are short and
# many, and with another program on the machine spinning makes them ten times slower. OpenMP reads
# this when numba first loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
