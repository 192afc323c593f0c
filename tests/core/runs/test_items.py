from __future__ import annotations

import json
from pathlib import Path

import pytest

from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.files import fingerprint, write_text
from recam_cli.core.runs.items import FINGERPRINT_NAME, ItemFolder
from recam_cli.core.runs.run import result_settings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from tests.helpers.leftovers import left_beside

OLD = {"threshold": "0.25", "refine": "crf", "scales": [1.0, 0.5]}


def open_items(folder: Path, settings=OLD, *, overwrite=False) -> ItemFolder:
    return ItemFolder.open(folder, fingerprint(settings), settings, overwrite, "masks", suffix=".png")


def open_pair(root: Path, settings=OLD, *, overwrite=False) -> ItemFolder:
    digest = fingerprint(settings)
    beside = root / "confidence"
    return ItemFolder.open(root / "masks", digest, settings, overwrite, "masks", suffix=".png", beside=beside)


def made_pair(root: Path, *items: str, settings=OLD) -> None:
    open_pair(root, settings).begin(SilentReporter())
    for item in items:
        for folder in ("confidence", "masks"):
            write_text(root / folder / f"{item}.png", f"{folder} of {item}")


def made(folder: Path, *items: str, settings=OLD) -> Path:
    open_items(folder, settings).begin(SilentReporter())
    for item in items:
        write_text(folder / f"{item}.png", item)
    return folder


def test_the_settings_are_noted_before_the_first_file(tmp_path):
    items = open_items(tmp_path / "masks")
    assert not (tmp_path / "masks").exists()

    assert items.begin(SilentReporter()) is None

    note = json.loads((tmp_path / "masks" / FINGERPRINT_NAME).read_text())
    assert note == {"fingerprint": fingerprint(OLD), "settings": OLD}


def test_files_of_the_same_settings_are_done(tmp_path):
    folder = made(tmp_path / "masks", "a", "b.c")

    items = open_items(folder)
    items.begin(SilentReporter())

    assert [items.done(i) for i in ("a", "b.c", "b", "c")] == [True, True, False, False]
    assert items.file("b.c") == folder / "b.c.png"


def test_a_half_written_file_is_not_done_and_cleared_away(tmp_path):
    folder = made(tmp_path / "masks", "a")
    leftover = left_beside(folder / "b.png")
    leftover.write_bytes(b"half")

    items = open_items(folder)
    items.begin(SilentReporter())

    assert not items.done("b")
    assert not leftover.exists()
    assert items.done("a")


def test_other_settings_are_refused_with_what_differs(tmp_path):
    folder = made(tmp_path / "masks", "a")
    new = {"threshold": "0.3", "refine": "crf", "scales": (1.0, 2.0), "split": "train"}

    with pytest.raises(RunError) as caught:
        open_items(folder, new)

    text = str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_RUN
    assert "threshold 0.25 → 0.3, scales [1.0, 0.5] → [1.0, 2.0], split (absent) → train" in text
    assert "refine" not in text
    assert "--overwrite" in text
    assert "add --overwrite, which moves what is there to masks.old-1" in text
    assert "\n" not in text


def test_a_tuple_is_no_other_setting_than_the_list_json_makes_of_it(tmp_path):
    folder = made(tmp_path / "masks", "a", settings=OLD | {"scales": (1.0, 0.5)})

    with pytest.raises(RunError) as caught:
        open_items(folder, OLD | {"scales": (1.0, 0.5), "refine": "none"})

    assert "refine crf → none" in str(caught.value)
    assert "scales" not in str(caught.value)


def test_a_refusal_touches_nothing(tmp_path):
    folder = made(tmp_path / "masks", "a")
    left_beside(folder / "b.png").write_bytes(b"half")
    before = sorted((p.name, p.read_bytes()) for p in folder.iterdir())

    with pytest.raises(RunError):
        open_items(folder, {"threshold": "0.3"})

    assert sorted((p.name, p.read_bytes()) for p in folder.iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["masks"]


def test_overwrite_moves_the_old_files_aside_and_keeps_them(tmp_path):
    folder = made(tmp_path / "masks", "a")

    for serial, value in ((1, "0.3"), (2, "0.4")):
        new = {"threshold": value}
        items = open_items(folder, new, overwrite=True)
        assert items.done("a"), "nothing is moved before begin"
        moved = items.begin(SilentReporter())
        assert moved == tmp_path / f"masks.old-{serial}"
        assert not items.done("a")
        write_text(folder / "a.png", value)

    assert (tmp_path / "masks.old-1" / "a.png").read_text() == "a"
    assert (tmp_path / "masks.old-2" / "a.png").read_text() == "0.3"
    assert json.loads((tmp_path / "masks.old-2" / FINGERPRINT_NAME).read_text())["settings"] == {"threshold": "0.3"}


def test_overwrite_keeps_files_of_the_same_settings(tmp_path):
    folder = made(tmp_path / "masks", "a")

    items = open_items(folder, overwrite=True)

    assert items.begin(SilentReporter()) is None
    assert items.done("a")


def test_a_folder_noted_but_still_empty_takes_any_settings(tmp_path):
    folder = made(tmp_path / "masks")
    new = {"threshold": "0.3"}

    assert open_items(folder, new).begin(SilentReporter()) is None

    assert json.loads((folder / FINGERPRINT_NAME).read_text())["settings"] == new


@pytest.mark.parametrize("note", [None, b"", b"{torn", b"[]", b'{"settings": 3}', b"\xff\xfe", b"[" * 100_000])
def test_files_without_a_readable_note_are_refused_as_unknown(tmp_path, note):
    folder = made(tmp_path / "masks", "a")
    (folder / FINGERPRINT_NAME).unlink()
    if note is not None:
        (folder / FINGERPRINT_NAME).write_bytes(note)

    with pytest.raises(RunError, match="made with settings unknown"):
        open_items(folder)


def test_many_differences_are_cut_short(tmp_path):
    folder = made(tmp_path / "masks", "a", settings={f"s{i}": i for i in range(9)})

    with pytest.raises(RunError, match=r"s5 5 → 6 and 3 more\."):
        open_items(folder, {f"s{i}": i + 1 for i in range(9)})


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "masks").write_text("not a folder")

    with pytest.raises(RunError, match="a file, where the folder of masks belongs"):
        open_items(tmp_path / "masks")


def test_an_image_is_done_when_it_has_both_files(tmp_path):
    made_pair(tmp_path, "a", "b", "c")
    (tmp_path / "masks" / "b.png").unlink()  # killed between the two
    (tmp_path / "confidence" / "c.png").unlink()

    items = open_pair(tmp_path)

    assert items.begin(SilentReporter()) is None
    assert [items.done(i) for i in "abcd"] == [True, False, False, False]


def test_half_written_files_beside_are_cleared_away(tmp_path):
    made_pair(tmp_path, "a")
    leftover = left_beside(tmp_path / "confidence" / "b.png")
    leftover.write_bytes(b"half")

    open_pair(tmp_path).begin(SilentReporter())

    assert not leftover.exists()


def test_both_folders_are_moved_aside_under_one_number(tmp_path):
    made(tmp_path / "masks", "a")  # as a version without the folder beside left it
    open_items(tmp_path / "masks", {"threshold": "0.3"}, overwrite=True).begin(SilentReporter())
    made_pair(tmp_path, "a", settings={"threshold": "0.3"})

    moved = open_pair(tmp_path, {"threshold": "0.4"}, overwrite=True).begin(SilentReporter())

    assert moved == tmp_path / "masks.old-2"
    assert (tmp_path / "masks.old-2" / "a.png").read_text() == "masks of a"
    assert (tmp_path / "confidence.old-2" / "a.png").read_text() == "confidence of a"
    assert not open_pair(tmp_path, {"threshold": "0.4"}).done("a")


def test_a_refusal_names_the_number_that_both_will_bear(tmp_path):
    made_pair(tmp_path, "a")
    (tmp_path / "confidence.old-1").mkdir()

    with pytest.raises(RunError, match=r"masks\.old-2"):
        open_pair(tmp_path, {"threshold": "0.3"})

    assert {p.name for p in tmp_path.iterdir()} == {"masks", "confidence", "confidence.old-1"}


def test_a_move_that_was_killed_halfway_is_ended_under_the_same_number(tmp_path):
    made_pair(tmp_path, "a")
    (tmp_path / "confidence").rename(tmp_path / "confidence.old-1")

    moved = open_pair(tmp_path, {"threshold": "0.3"}, overwrite=True).begin(SilentReporter())

    assert moved == tmp_path / "masks.old-1"
    assert not open_pair(tmp_path, {"threshold": "0.3"}).done("a")


def test_files_beside_of_other_settings_never_pair_with_the_masks(tmp_path):
    made_pair(tmp_path, "a", settings={"threshold": "0.3"})
    (tmp_path / "masks" / "a.png").unlink()
    made(tmp_path / "masks", "a")  # masks of other settings, put back by hand

    items = open_pair(tmp_path)

    assert items.begin(SilentReporter()) is None
    assert not items.done("a")
    assert (tmp_path / "confidence.old-1" / "a.png").read_text() == "confidence of a"
    assert (tmp_path / "masks" / "a.png").read_text() == "a"


def test_a_file_in_the_place_of_the_folder_beside_is_refused(tmp_path):
    (tmp_path / "confidence").write_text("not a folder")

    with pytest.raises(RunError, match="confidence: a file, where"):
        open_pair(tmp_path)


def test_result_settings_leave_out_what_does_not_change_results():
    settings = MakeMasksSettings(data_root=Path("photos"), threshold="0.3", workers=3, overwrite=True)

    found = result_settings(settings, {"make-seeds": "12ab"})

    assert "data_root" not in found  # what lies there counts, not where
    assert found["threshold"] == "0.3"
    assert found["make-seeds"] == "12ab"
    assert not {"workers", "overwrite"} & set(found)
    json.dumps(found)
