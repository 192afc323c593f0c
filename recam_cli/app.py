"""The Typer app: assembles the commands."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from recam_cli import __version__
from recam_cli.commands import COMMANDS
from recam_cli.root_help import RootGroup


def build_app(only: str | None = None) -> typer.Typer:
    """Return the app.

    Args:
        only: the one command whose options are needed, or "" for none: all others get their name and summary only,
            so that `recam --help` and each command start fast. None builds every command in full.
    """
    app = typer.Typer(
        name="recam",
        cls=RootGroup,
        help="From photographs with image-level labels to pixel masks: CAM and ReCAM seeds, pseudo masks, a segmenter.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 ok, 1 unexpected, 2 usage, 3 bad data, 4 missing or incompatible run, 5 a check failed, "
        "129/130/143 interrupted.",
    )
    app.callback()(_root)
    for name, summary in COMMANDS.items():
        if only is None or name == only:
            from recam_cli.commands.common import register

            register(app, import_module(f"recam_cli.commands.{name.replace('-', '_')}").COMMAND)
        else:
            app.command(name, short_help=summary)(_not_built)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recam {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _not_built() -> None:
    """Stand in for a command that was not asked for."""
