"""The built-in data set `shapes`: generated scenes that show what goes wrong with class activation maps.

Eight classes come in pairs that mostly stand in one picture (elephant and zebra, bus and dog …): a classifier may
recognise one by the other, and its activation maps mix them up. That is what ReCAM is for.
"""

from recam_cli.core.data.shapes.objects import CLASSES
from recam_cli.core.data.shapes.scene import render_scene
from recam_cli.core.data.shapes.spec import ShapesSpec
from recam_cli.core.data.shapes.write import open_shapes, spec_of

__all__ = ["CLASSES", "ShapesSpec", "open_shapes", "render_scene", "spec_of"]
