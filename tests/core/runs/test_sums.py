"""Lists of a folder's hashes: read back, rewritten only where they change, and never over a file that rotted."""

from __future__ import annotations

import os

import pytest

from recam_cli.core.errors import ExitCode, RunError
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.sums import changed_items, files_of_items, find_sums, write_sums
from tests.helpers.damage import flip_bit


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b b", "=c"):
        (tmp_path / f"{name}.png").write_bytes(name.encode() * 50)
    return tmp_path


def write(folder):
    return write_sums(folder, sorted(folder.glob("*.png")), ".png")


def test_the_list_is_found_by_its_hash_alone_and_names_every_file(folder):
    digest = write(folder)
    assert find_sums(folder, digest) == {f"{n}.png": sha256_of(folder / f"{n}.png") for n in ("=c", "a", "b b")}
    assert find_sums(folder, "0" * 64) is None
    assert digest == sha256_of(folder / ".png.sha256")


def test_a_list_that_stays_the_same_is_not_written_again(folder):
    write(folder)
    os.utime(folder / ".png.sha256", ns=(1, 1))
    write(folder)
    assert (folder / ".png.sha256").stat().st_mtime_ns == 1


def test_lists_of_two_kinds_of_files_lie_beside_each_other(folder):
    (folder / "a.json").write_text("{}")
    pngs = write(folder)
    jsons = write_sums(folder, [folder / "a.json"], ".json")
    assert len(find_sums(folder, pngs) or ()) == 3 and set(find_sums(folder, jsons) or ()) == {"a.json"}


def test_a_file_that_changed_without_being_written_is_refused_not_listed(folder):
    write(folder)
    before, path = (folder / ".png.sha256").read_bytes(), folder / "a.png"
    made = path.stat()
    flip_bit(path)
    os.utime(path, ns=(made.st_atime_ns, made.st_mtime_ns))  # as a failing disk changes it
    with pytest.raises(RunError, match=r"a\.png is damaged.*Delete it and run the command again") as caught:
        write(folder)
    assert caught.value.exit_code == ExitCode.BAD_RUN
    assert (folder / ".png.sha256").read_bytes() == before


def test_a_file_made_anew_is_listed_as_it_is(folder):
    first = write(folder)
    (folder / "a.png").write_bytes(b"anew")
    later = (folder / ".png.sha256").stat().st_mtime_ns + 1
    os.utime(folder / "a.png", ns=(later, later))
    second = write(folder)
    assert second != first and (find_sums(folder, second) or {})["a.png"] == sha256_of(folder / "a.png")


def test_items_that_are_not_what_their_list_says_are_found_by_name(folder):
    assert changed_items(folder) == set()
    for name in ("a", "b b", "c.d"):
        (folder / f"{name}.json").write_text(name)
    write(folder)
    write_sums(folder, sorted(folder.glob("[!.]*.json")), ".json")
    assert changed_items(folder) == set()

    (folder / "b b.png").write_bytes(b"other")
    (folder / "c.d.json").write_text("other")
    (folder / "a.png").unlink()  # one that is missing has not changed: it is made anew anyway
    (folder / "new.png").write_bytes(b"not listed")
    assert changed_items(folder) == {"b b", "c.d"}
    assert {path.name for path in files_of_items(folder, ["b b", "c.d"])} == {"b b.png", "b b.json", "c.d.json"}


def test_a_list_leads_to_no_file_elsewhere(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "a.png").write_bytes(b"elsewhere")
    (tmp_path / "masks" / ".png.sha256").write_text(f"{'0' * 64}  ../a.png\n{'0' * 64}  {tmp_path / 'a.png'}\n")
    assert changed_items(tmp_path / "masks") == set()
