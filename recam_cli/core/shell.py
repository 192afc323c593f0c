"""Command lines as a shell reads them back and a terminal may show them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from recam_cli.core.printable import printable


def shell_line(words: Iterable[str]) -> str:
    r"""Return the words as one command line, quoted where need be.

    A word with characters that a terminal would act on, or bytes that are no UTF-8, is written as bash, zsh and ksh
    read it: $'new\012line'.
    """
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if printable(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_escaped(character) for character in word) + "'"


def _escaped(character: str) -> str:
    if printable(character) == character:
        return re.sub(r"(['\\])", r"\\\1", character)
    byte_of_a_name = "\udc80" <= character <= "\udcff"  # as os.fsdecode has them
    data = character.encode("utf-8", "surrogateescape" if byte_of_a_name else "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in data)
