from __future__ import annotations

import pytest

from recam_cli.core.data.classes import check_classes, read_classes
from recam_cli.core.errors import DataError


def test_lines_name_the_mask_values_in_order(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("\ufeffcat\r\ntraffic  light \r\nbus\r\n\r\n", encoding="utf-8")
    assert read_classes(path) == ("cat", "traffic light", "bus")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no class names"),
        ("cat\n\ndog\n", "line 2 is blank"),
        ("cat\nCat\n", "differ in case only"),
        ("cat\ncat\n", "'cat' occurs twice"),
        ("background\ncat\n", "mask value 0"),
        ("cat;dog\n", "comma, semicolon"),
        ("\n".join(f"c{i}" for i in range(255)), "255 classes"),
    ],
)
def test_lists_that_do_not_fit_masks_are_refused(tmp_path, text, message):
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_classes(path)


def test_as_many_classes_as_mask_values_allow(tmp_path):
    assert len(check_classes([f"c{i}" for i in range(254)], tmp_path)) == 254
