"""One thin module per subcommand: parse, resolve settings, call one stage, print its result."""

from recam_cli.commands.check_data import CHECK_DATA
from recam_cli.commands.evaluate import EVALUATE
from recam_cli.commands.make_masks import MAKE_MASKS
from recam_cli.commands.make_seeds import MAKE_SEEDS
from recam_cli.commands.predict import PREDICT
from recam_cli.commands.pretrain_backbone import PRETRAIN_BACKBONE
from recam_cli.commands.report import REPORT
from recam_cli.commands.status import STATUS
from recam_cli.commands.train_cls import TRAIN_CLS
from recam_cli.commands.train_seg import TRAIN_SEG
from recam_cli.commands.visualize import VISUALIZE

COMMANDS = (
    TRAIN_CLS,
    MAKE_SEEDS,
    MAKE_MASKS,
    TRAIN_SEG,
    EVALUATE,
    VISUALIZE,
    PREDICT,
    REPORT,
    CHECK_DATA,
    STATUS,
    PRETRAIN_BACKBONE,
)
"""In the order of `recam --help`."""
