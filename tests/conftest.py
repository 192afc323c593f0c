"""Two processes run the tests; benchmarks and fuzzing have the machine to themselves, and their output is shown."""

import os

import hypothesis
import pytest

# A busy machine is no fault of the code: how long an example takes is not what these tests hold.
hypothesis.settings.register_profile("recam", deadline=None)
hypothesis.settings.load_profile("recam")

# Set before torch is loaded: threads that wait do not spin, so that tests stay quick on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    if any(
        word in config.option.markexpr.replace("not bench", "").replace("not fuzz", "") for word in ("bench", "fuzz")
    ):
        config.option.numprocesses, config.option.dist = 0, "no"


def pytest_collection_modifyitems(items):
    """The long files first: two processes end together then."""
    items.sort(key=lambda item: not {"stages", "commands"} & set(item.path.parts))
