"""The built-in data set `shapes`: generated scenes that show what goes wrong with class activation maps.

Classes come in families that share a body, its colours and its texture (horse, cow, deer; taxi, patrol,
pickup; duck, rooster); small parts alone tell them apart. A classifier needs only those parts, so its
activation maps miss the bodies; and classes of a family often stand in one picture, so its maps mix them up.
Both are what ReCAM is for.
"""

from recam_cli.core.data.shapes.objects import CLASSES, PRETRAIN_CATEGORIES
from recam_cli.core.data.shapes.scene import render_scene, single_object_scene
from recam_cli.core.data.shapes.spec import ShapesSpec
from recam_cli.core.data.shapes.write import open_shapes, spec_of

__all__ = [
    "CLASSES",
    "PRETRAIN_CATEGORIES",
    "ShapesSpec",
    "open_shapes",
    "render_scene",
    "single_object_scene",
    "spec_of",
]
