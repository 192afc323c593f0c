"""What the user sees: results on stdout, everything else on stderr; bars on a terminal, plain lines otherwise.

Ids, file names and class names are others' text: characters that a terminal would act on are shown, never sent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from recam_cli.core.errors import RunError
from recam_cli.core.printable import printable
from recam_cli.core.signals import polled, raise_if_signalled

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    from recam_cli.core.reporter import Overall, Progress

_PLAIN_SECONDS = 10.0
CLOSED_PIPE = 141
"""Exit code when the reader of stdout went away, as shells show a process ended by SIGPIPE."""


class TerminalReporter:
    """The reporter of the command line.

    Args:
        quiet: only warnings.
        verbose: details, too.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._bars: RichProgress | None = None
        self._overall: _RichOverall | None = None

    def info(self, message: str) -> None:
        """Print to stderr unless quiet."""
        if not self.quiet:
            self._print(message)

    def detail(self, message: str) -> None:
        """Print to stderr if verbose."""
        if self.verbose:
            self._print(message)

    def warn(self, message: str) -> None:
        """Print to stderr, always."""
        self._print(f"warning: {message}")

    @contextmanager
    def track(self, title: str, total: int, unit: str = "image") -> Iterator[Progress]:
        """Show a bar on a terminal, a line every ten seconds elsewhere; a signal takes effect at the next advance."""
        with polled():
            if self.quiet:
                yield _Silent()
            elif self._overall is not None and self._bars is not None:
                inner = _RichBar(self._bars, title, total, unit, self._overall)
                try:
                    yield inner
                finally:
                    inner.close()
            elif sys.stderr.isatty() and self._bars is None:
                with self._rich_bar(title, total, unit) as bar:
                    yield bar
            else:
                plain = _PlainBar(title, total, unit)
                yield plain
                plain.finish()

    @contextmanager
    def _rich_bar(self, title: str, total: int, unit: str) -> Iterator[Progress]:
        with self._rich_bars() as bars:
            yield _RichBar(bars, title, total, unit)

    @contextmanager
    def overall(self, seconds: float) -> Iterator[Overall]:
        """Show the stages' bars below one over all of them; a line for each stage where there is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield _PlainOverall(self)
            return
        with self._rich_bars() as bars:
            self._overall = _RichOverall(bars, seconds)
            try:
                yield self._overall
            finally:
                self._overall = None

    @contextmanager
    def _rich_bars(self) -> Iterator[RichProgress]:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[figures]}"),
        )
        with RichProgress(*columns, console=stderr_console()) as bars:
            self._bars = bars
            try:
                yield bars
            finally:
                self._bars = None

    def _print(self, message: str) -> None:
        message = printable(message)
        if self._bars is not None:
            self._bars.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()


class _Silent:
    def advance(self, count: int = 1, **figures: float) -> None:
        """Show nothing."""
        raise_if_signalled()


class _RichBar:
    def __init__(
        self, bars: RichProgress, title: str, total: int, unit: str, overall: _RichOverall | None = None
    ) -> None:
        self._bars, self._total, self._unit, self._begun, self._done = bars, total, unit, time.monotonic(), 0
        self._overall = overall
        self._task = bars.add_task(printable(title), total=total, count=f"0/{total}", rate="", figures="")

    def advance(self, count: int = 1, **figures: float) -> None:
        """Move the bar on."""
        raise_if_signalled()
        self._done += count
        rate = f"{self._done / max(1e-3, time.monotonic() - self._begun):.1f} {self._unit}s/s"
        count_text = f"{self._done}/{self._total}"
        self._bars.update(self._task, advance=count, count=count_text, rate=rate, figures=_figures(figures))
        if self._overall is not None:
            self._overall.tick()

    def close(self) -> None:
        """Take the bar off, below an overall one."""
        self._bars.remove_task(self._task)


class _RichOverall:
    def __init__(self, bars: RichProgress, seconds: float) -> None:
        self._bars, self._before, self._seconds, self._begun = bars, 0.0, 0.0, time.monotonic()
        self._task = bars.add_task("", total=max(seconds, 1e-3), count="", rate="", figures="")

    def begin(self, title: str, before: float, seconds: float) -> None:
        """Name the part, and move on to where it is expected to begin."""
        self._before, self._seconds, self._begun = before, seconds, time.monotonic()
        self._bars.update(self._task, description=printable(title), completed=before)

    def tick(self) -> None:
        """Move on as time goes, but not past the part's end."""
        elapsed = min(time.monotonic() - self._begun, 0.98 * self._seconds)
        self._bars.update(self._task, completed=self._before + elapsed)


class _PlainOverall:
    def __init__(self, reporter: TerminalReporter) -> None:
        self._reporter = reporter

    def begin(self, title: str, before: float, seconds: float) -> None:
        """Print the title."""
        self._reporter.info(title)


class _PlainBar:
    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = printable(title), total, unit
        self._done, self._begun = 0, time.monotonic()
        self._printed = self._begun
        self._last: dict[str, float] = {}

    def advance(self, count: int = 1, **figures: float) -> None:
        """Print a line if the last one is old enough."""
        raise_if_signalled()
        self._done += count
        self._last = figures or self._last
        if time.monotonic() - self._printed >= _PLAIN_SECONDS and self._done < self._total:
            self._line()

    def finish(self) -> None:
        """Print the last line."""
        self._line()

    def _line(self) -> None:
        self._printed = now = time.monotonic()
        seconds = max(1e-3, now - self._begun)
        rate = self._done / seconds
        left = (self._total - self._done) / rate if rate else 0.0
        eta = f", {_clock(left)} left" if self._done < self._total else f" in {_clock(seconds)}"
        figures = f", {_figures(self._last)}" if self._last else ""
        sys.stderr.write(f"{self._title}: {self._done}/{self._total} {self._unit}s, {rate:.1f}/s{eta}{figures}\n")
        sys.stderr.flush()


def stderr_console() -> Console:
    """Return a Rich console on stderr."""
    from rich.console import Console

    return Console(stderr=True)


def print_json(value: Any) -> None:
    """Print JSON, and nothing else, to stdout; escaped where the terminal or UTF-8 cannot show a name."""
    text = printable(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), keep="\n")
    if not _can_write(text):
        text = json.dumps(value, indent=2, allow_nan=False)
    _write(text + "\n")


def print_line(text: str) -> None:
    """Print one line of result to stdout."""
    _write(printable(text) + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table to stdout: the first column left, all others right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):  # names are folded where the terminal is narrow, figures stay whole
        justify: Literal["left", "right"] = "left" if index == 0 else "right"
        table.add_column(Text(printable(name)), justify=justify, overflow="fold", no_wrap=index > 0)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(file=sys.stdout)
    if not sys.stdout.isatty():
        console = Console(file=sys.stdout, width=max(console.width, 160))
    with console.capture() as captured:
        if title:  # a title of the table itself would be broken to the table's width
            console.print(Text(printable(title)), soft_wrap=True)
        console.print(table)
    _write(captured.get())


def leave_closed_pipe() -> NoReturn:
    """End the program in silence: the reader of stdout went away (`recam … | head`), which is no error."""
    drop_stdout()
    sys.exit(CLOSED_PIPE)


def drop_stdout() -> None:
    """Let the interpreter's own flush at exit succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(text: str) -> None:
    """Write to stdout; a reader that went away ends the program here, where Typer and Rich would exit with 1.

    What cannot be encoded is written escaped.

    Raises:
        RunError: what stdout goes to takes no more, e.g. a file on a full disk.
    """
    if not _can_write(text):
        encoding = sys.stdout.encoding or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        leave_closed_pipe()
    except OSError as error:
        drop_stdout()
        raise RunError(f"the result cannot be written to stdout: {error.strerror}", remedy="Free space") from error


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _figures(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
