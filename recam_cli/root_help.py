"""The page that `recam --help` shows.

Typer's own renderer loads a Markdown parser and a syntax highlighter first, a third of the time until the answer; this
page needs neither. Each command's `--help` stays Typer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.panel import Panel

    Rows = list[tuple[str, str]]


class RootGroup(TyperGroup):
    """The group of all commands, with a help page that is quick to draw."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print usage, options and commands to stdout."""
        from rich.console import Console
        from rich.padding import Padding

        options = [(", ".join(reversed(p.opts)), str(getattr(p, "help", ""))) for p in self.get_params(ctx)]
        commands = [(n, c.get_short_help_str(limit=200)) for n, c in self.commands.items() if not c.hidden]
        console = Console(highlight=False)
        usage = " ".join(self.collect_usage_pieces(ctx))
        console.print(Padding(f"[yellow]Usage:[/] [bold]{ctx.command_path} {usage.replace('[', chr(92) + '[')}", 1))
        console.print(Padding(self.help or "", (0, 1, 1, 1)))
        console.print(_panel("Options", options))
        console.print(_panel("Commands", commands))
        console.print(Padding(self.epilog or "", 1), markup=False)


def _panel(title: str, rows: Rows) -> Panel:
    from rich.box import ROUNDED
    from rich.panel import Panel
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, expand=True)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(ratio=1)
    for name, text in rows:
        table.add_row(name, text)
    return Panel(table, title=title, title_align="left", border_style="dim", box=ROUNDED)
