"""Shared by all tests."""

import os

# One thread each: tests on small stacks are slower with more, and their sums would depend on the machine.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
