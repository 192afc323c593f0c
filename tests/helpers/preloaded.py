"""What the server of `tests.helpers.kills` has loaded before it forks: all that a command would spend seconds on.

Beside the stages: what torch loads only with the first optimiser, and torchvision.
"""

from importlib import import_module

from recam_cli.core.models.torchvision_gate import torchvision

for _name in ("evaluate", "irn", "rerun", "run_all", "visualize"):
    import_module(f"recam_cli.stages.{_name}")
for _name in ("recam_cli.core.masks.lattice_loops", "matplotlib.style.core", "torch._dynamo"):
    import_module(_name)
torchvision()
