"""A small fleet of model services, measured by infermeter, that misbehaves on request: what `infermeter demo` runs."""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    # Before numpy is there: the pods are forked, threads do not survive that, and one row needs none.
    os.environ[_variable] = "1"
