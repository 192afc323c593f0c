"""`recam predict` as users call it."""

from __future__ import annotations

from recam_cli.core.data.images import write_image
from tests.helpers.kills import call
from tests.helpers.tiny_data import draw_photo
from tests.helpers.tiny_run import add_segmenter, record_classifier


def test_a_folder_of_photographs_gives_masks_and_one_line(tmp_path):
    run = record_classifier(tmp_path / "run")
    add_segmenter(run)
    write_image(tmp_path / "photos" / "a.jpg", draw_photo((0,))[0])
    (tmp_path / "photos" / "b.jpg").write_bytes(b"nothing")
    outcome = call("predict", "photos", "--out", "masks", "--run", "run", "--device", "cpu", "--quiet", cwd=tmp_path)
    assert outcome.code == 3, outcome.err
    assert outcome.out.startswith("masks: 1 mask made; ") and outcome.out.count("\n") == 1
    assert (tmp_path / "masks" / "a.png").is_file()
    assert outcome.err.splitlines()[-1] == "recam: 1 of 2 photographs could not be used: photos/b.jpg"
