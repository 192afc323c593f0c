"""The entry point: runs the app and turns every way out into a message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import NoReturn

from recam_cli.core.errors import ExitCode, RecamError, one_line, without_repeatable_form
from recam_cli.core.printable import printable
from recam_cli.core.resources import lack_of
from recam_cli.core.runs.under_way import begun_last
from recam_cli.core.shell import shell_line
from recam_cli.core.signals import Interrupted, raise_no_more, raise_on_signals
from recam_cli.streams import prepare_streams

_FULL = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    """Run `recam` and exit with a documented code."""
    prepare_streams()
    raise_on_signals(_leave_at_once)
    # Idle OpenMP threads that spin long cost a busy machine most of its speed (a millisecond: two jobs on two cores ran
    # ten times slower); threads that sleep at once cost a quiet one about a sixth. They spin for about as long as
    # waking one takes. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        from recam_cli.app import build_app

        build_app(_asked_command())()
    except RecamError as error:
        _end_with(lack_of(error) or error)
    except Interrupted as interruption:
        _say(f"recam: interrupted. Go on with: {_command_to_go_on()}")
        sys.exit(interruption.exit_code)
    except BrokenPipeError:
        _leave_closed_pipe()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer and Rich exit with 1 there
            _leave_closed_pipe()
        raise
    except OSError as error:
        if (lack := lack_of(error)) is not None:
            _end_with(lack)
        if error.errno in _FULL and error.filename is None:  # no file's writer said which: it is the output
            _drop_stdout()
            _say(f"recam: the output cannot be written: {error.strerror}. Free space")
            sys.exit(ExitCode.BAD_RUN)
        if error.filename is None or error.strerror is None or _is_verbose():
            _unexpected(error)
        # A path that the system does not take, or keeps to others.
        _say(f"recam: {one_line(str(error.filename))}: {error.strerror}. Correct the path or its permissions")
        sys.exit(ExitCode.BAD_DATA)
    except Exception as error:
        if (told := without_repeatable_form(error) or lack_of(error)) is not None:
            _end_with(told)
        _unexpected(error)
    finally:
        raise_no_more()


def _leave_at_once(code: ExitCode) -> NoReturn:
    """End before any work has begun; in a signal's handler, where Python's own streams may be in use."""
    line = f"recam: interrupted. Go on with: {shell_line(('recam', *sys.argv[1:]))}\n"
    with suppress(OSError):
        os.write(2, line.encode("utf-8", "backslashreplace"))
    os._exit(code)


def _leave_closed_pipe() -> NoReturn:
    from recam_cli.terminal import leave_closed_pipe

    leave_closed_pipe()


def _drop_stdout() -> None:
    from recam_cli.terminal import drop_stdout

    drop_stdout()


def _end_with(error: RecamError) -> NoReturn:
    _say(f"recam: {error}")
    sys.exit(error.exit_code)


def _unexpected(error: Exception) -> NoReturn:
    if _is_verbose():
        raise error
    what = one_line(f"{type(error).__name__}: {error}")
    _say(f"recam: unexpected error: {what}. Please report it with the output of the same command and --verbose")
    sys.exit(ExitCode.UNEXPECTED)


def _is_verbose() -> bool:
    return "--verbose" in sys.argv or "-v" in sys.argv


def _asked_command() -> str | None:
    """Return the first word that is no option; None, for all commands, where the shell asks for completions."""
    if any(key.endswith("_COMPLETE") for key in os.environ):
        return None
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")


def _command_to_go_on() -> str:
    """Return the command that goes on where this one was interrupted; what had not begun a stage begins again."""
    words = ["recam", *sys.argv[1:]]
    if (begun := begun_last()) is not None:
        from recam_cli.core.runs.next_command import going_on

        words = going_on(words, _asked_command() or "", *begun)
    return shell_line(words)


def _say(message: str) -> None:
    sys.stderr.write(printable(message) + "\n")


if __name__ == "__main__":
    main()
