"""Shared by all tests."""

import os

# One thread each: tests on small stacks are slower with more, and their sums would depend on the machine.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from hypothesis import settings  # noqa: E402  (after the variables, which NumPy reads when it is imported)

# On a busy machine an example may take long; that is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
