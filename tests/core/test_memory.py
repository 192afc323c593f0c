"""What `--memory` means: sizes, what is free, and how many parts and processes follow from it."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core import memory
from recam_cli.core.errors import ResourceError, UsageError
from recam_cli.core.memory import Budget, Cost, free_bytes, held_bytes, in_words, parse_size, parts_of

GB, MB = 10**9, 10**6


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("auto", None),
        (" AUTO ", None),
        ("3GB", 3 * GB),
        ("3gb", 3 * GB),
        ("1.5GiB", 3 << 29),
        ("1.5Gi", 3 << 29),
        ("800MB", 800 * MB),
        ("800 MB", 800 * MB),
        ("2G", 2 * GB),
        ("100000000", 10**8),
    ],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "3XB", "-3GB", "0", "3,5GB", "nan", "inf", "1e9", "1MB", "3GBB", "٣GB", "auto GB"]
)
def test_what_is_no_size_is_refused_in_one_line_that_names_the_option(text):
    with pytest.raises(UsageError, match=r"^--memory: .*800MB"):
        parse_size(text)


@given(st.integers(64 << 20, 10**13))
def test_sizes_in_words_are_read_back_as_no_less_and_hardly_more(size):
    found = parse_size(in_words(size))
    assert size <= found <= size + max(MB, 10**8)


def _meminfo(folder, kilobytes):
    (folder / "self").mkdir(parents=True, exist_ok=True)
    (folder / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemFree: 5 kB\nMemAvailable: {kilobytes} kB\n")


def _group(folder, names, limit, used, cache):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\ninactive_file {cache}\ntotal_inactive_file {cache}\n")


V1, V2 = ("memory.limit_in_bytes", "memory.usage_in_bytes"), ("memory.max", "memory.current")


@pytest.fixture(autouse=True)
def no_ulimit(monkeypatch):
    monkeypatch.setattr(memory, "_left_of_ulimit", lambda proc: iter(()))


def test_without_a_control_group_what_is_available_is_free(tmp_path):
    _meminfo(tmp_path / "proc", 4000)
    assert free_bytes(tmp_path / "proc", tmp_path / "none") == 4000 << 10


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_leaves_its_limit_less_what_it_uses_but_for_the_file_cache(tmp_path, version):
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    _meminfo(proc, 4000)
    (proc / "self" / "cgroup").write_text("3:cpu:/a\n4:memory:/a/b\n" if version == 1 else "0::/a/b\n")
    root, names = (groups / "memory", V1) if version == 1 else (groups, V2)
    _group(root / "a" / "b", names, 1_000_000, 700_000, 200_000)
    assert free_bytes(proc, groups) == 500_000


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_group_above_counts_and_one_without_limit_does_not(tmp_path, version):
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    _meminfo(proc, 4000)
    (proc / "self" / "cgroup").write_text("4:memory:/a/b\n" if version == 1 else "0::/a/b\n")
    root, names = (groups / "memory", V1) if version == 1 else (groups, V2)
    _group(root / "a" / "b", names, "max" if version == 2 else 2**63 - 4096, 700_000, 0)
    _group(root / "a", names, 900_000, 700_000, 0)
    assert free_bytes(proc, groups) == 200_000


def test_within_a_container_the_group_is_mounted_as_the_root(tmp_path):
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    _meminfo(proc, 4000)
    (proc / "self" / "cgroup").write_text("0::/docker/0123\n")
    _group(groups, V2, 600_000, 100_000, 0)
    assert free_bytes(proc, groups) == 500_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_limit_on_addresses_counts():
    code = (
        "import resource; from recam_cli.core import memory\n"
        "size = memory._kilobytes(memory.Path('/proc/self/status'), 'VmSize') << 10\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20), resource.RLIM_INFINITY))\n"
        "print(memory.free_bytes())"
    )
    found = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 0 < found <= 64 << 20


def test_this_machine_has_memory_and_this_process_holds_some():
    assert free_bytes() > 0
    assert 10 << 20 < held_bytes() < 1 << 40


def test_auto_is_a_share_of_what_is_free_beside_what_is_held():
    budget = Budget.of("auto", free=1000 * MB, held=300 * MB)
    assert (budget.total, budget.room) == (900 * MB, 600 * MB)
    assert Budget.of("auto", free=10**11, held=0).room == memory.ROOM
    assert Budget.of("3GB", free=0, held=GB).room == 2 * GB


def test_a_thing_that_fits_is_one_part_whatever_else_is_free():
    for free in (4 * GB, 64 * GB):
        assert Budget.of("auto", free=free, held=0).together(8, 100 * MB, "work") == 8


sizes = st.integers(64 << 20, 1 << 35)


@given(sizes, sizes, st.integers(1, 64), st.integers(1, 1 << 24))
def test_the_smaller_the_budget_the_more_parts(one, other, count, each):
    small, large = (Budget(total, 0, 0, f"{total}") for total in sorted((one, other)))
    more, fewer = (len(list(parts_of(count, b.together(count, each, "work")))) for b in (small, large))
    assert more >= fewer
    assert small.pixels(Cost(0, each), "work") <= large.pixels(Cost(0, each), "work")
    assert small.workers(count, each) <= large.workers(count, each)


@given(st.integers(0, 1 << 32), st.integers(1, 64), st.integers(1, 1 << 28), st.integers(0, 1 << 28))
def test_a_part_keeps_to_the_room_and_parts_are_as_equal_as_can_be(room, count, each, fixed):
    budget = Budget(room + GB, GB, 0, f"{room + GB}")
    if fixed + each > room:
        with pytest.raises(UsageError):
            budget.together(count, each, "work", fixed=fixed)
        return
    together = budget.together(count, each, "work", fixed=fixed)
    assert 1 <= together <= count
    assert fixed + together * each <= room
    lengths = [part.stop - part.start for part in parts_of(count, together)]
    assert sum(lengths) == count
    fewest = math.ceil(count / min(count, (room - fixed) // each))
    assert len(lengths) == fewest


def test_too_little_names_what_would_do_and_that_does():
    budget = Budget(500 * MB, 400 * MB, 0, "500MB")
    words = r"^--memory 500MB: Boundaries needs 1.2GB for one .*Give --memory 1.2GB, or use a smaller crop$"
    with pytest.raises(UsageError, match=words):
        budget.together(8, 700 * MB, "Boundaries", fixed=60 * MB, remedy="use a smaller crop")
    enough = Budget.of("1.2GB", free=0, held=400 * MB)
    assert enough.together(8, 700 * MB, "Boundaries", fixed=60 * MB) == 1


def test_auto_takes_beyond_its_share_for_one_photograph_but_not_what_is_not_there():
    budget = Budget.of("auto", free=1000 * MB, held=0)
    assert budget.together(4, 900 * MB, "work") == 1
    with pytest.raises(ResourceError, match=r"work needs 2GB more for one .* but 1GB of memory are free. Close other"):
        budget.together(4, 2000 * MB, "work")


def test_a_worker_is_left_where_any_is_wanted_and_none_where_none_is():
    budget = Budget(100 * MB, 90 * MB, 0, "100MB")
    assert [budget.workers(wanted, 300 * MB) for wanted in (0, 1, 9)] == [0, 1, 1]
