"""Set before torch is loaded: threads that wait do not spin, so that tests stay quick on a busy machine."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
