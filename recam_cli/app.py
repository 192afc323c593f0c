"""The Typer app: assembles the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from recam_cli import __version__
from recam_cli.commands import COMMANDS
from recam_cli.commands.common import register

app = typer.Typer(
    name="recam",
    help="From photographs with image-level labels to pixel masks: CAM and ReCAM seeds, pseudo masks, a segmenter.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 unexpected, 2 usage, 3 bad data, 4 missing or incompatible run, 5 a check failed, "
    "130/143 interrupted.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recam {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    pass


for _command in COMMANDS:
    register(app, _command)
