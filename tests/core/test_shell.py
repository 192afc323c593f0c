"""Command lines that are shown: a shell reads back the words, and a terminal acts on none of them."""

from __future__ import annotations

import os
import subprocess

import pytest

from recam_cli.core.printable import printable
from recam_cli.core.shell import shell_line

NAMES = ["plain", "two words", "it's", "new\nline", "\x1b[31m'\\n", "\u202egnp.exe", "", "ä\t7"]
NAMES += [os.fsdecode(b"\xff\xfe1")]  # no UTF-8


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_reads_back_what_a_terminal_may_show(name):
    line = shell_line(["printf", "%s", name, "--end"])
    assert printable(line) == line
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout == os.fsencode(name) + b"--end"


def test_usual_words_are_quoted_as_ever():
    assert shell_line(["recam", "--run", "my run"]) == "recam --run 'my run'"


def test_what_stands_for_no_file_name_is_shown_all_the_same():
    assert printable(shell_line(["\ud800"])).startswith("$'\\355")
