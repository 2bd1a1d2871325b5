"""The reference operators: plain numerical Python, one module a paper."""

import os

# Waiting OpenMP threads should sleep and not spin: the sparse solver has many short loops, and
# spinning makes them ten times slower while another program runs. OpenMP reads this variable when
# numba first loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
