"""One thin module per subcommand: parse, resolve settings, call one stage, print its result."""

from recam_cli.commands.check_data import CHECK_DATA
from recam_cli.commands.evaluate import EVALUATE
from recam_cli.commands.make_masks import MAKE_MASKS
from recam_cli.commands.make_seeds import MAKE_SEEDS
from recam_cli.commands.status import STATUS
from recam_cli.commands.train_cls import TRAIN_CLS

COMMANDS = (TRAIN_CLS, MAKE_SEEDS, MAKE_MASKS, EVALUATE, CHECK_DATA, STATUS)
"""In the order of `recam --help`."""
