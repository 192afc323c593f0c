"""`recam visualize` as users call it."""

from __future__ import annotations

import pytest

from tests.helpers.kills import call
from tests.helpers.tiny_run import make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("tiny"), masks=False)


def test_a_broken_image_ends_with_3_after_the_others_are_shown(made, tmp_path):
    photo = made.path.parent / "data" / "JPEGImages" / "img_001.jpg"
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    options = ("--run", made.path, "--refine", "none", "--json", "--device", "cpu")
    outcome = call("visualize", "broken.jpg", photo, *options, cwd=tmp_path)
    assert outcome.code == 3, outcome.err
    assert [one["picture"] for one in outcome.json["images"]] == [str(made.path / "visualize" / "img_001.png")]
    assert (made.path / "visualize" / "img_001.png").is_file()
    assert [one["image"] for one in outcome.json["failed"]] == ["broken.jpg"]
    assert outcome.err.splitlines()[-1] == "recam: 1 of 2 images could not be shown: broken.jpg"
    assert "Traceback" not in outcome.err


def test_without_a_run_it_says_how_to_get_one(tmp_path):
    outcome = call("visualize", "photo.jpg", cwd=tmp_path)
    assert outcome.code == 4 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert "recam train-cls" in line and "--weights imagenet" in line
