"""Text as a terminal may safely show it: nothing in a name can move the cursor, change colours or reverse the line."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), marks that change the direction of text, line and paragraph separators, and what
# stands for bytes of file names that are no UTF-8.
_ACTIVE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every character that a terminal would act on, but those to `keep`, as an escape: "\u001b".

    The escapes are JSON's: JSON text stays valid, and means the same, where its line ends are kept.
    """
    return _ACTIVE.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)
