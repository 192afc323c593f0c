from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from multiprocessing.synchronize import _multiprocessing
from pathlib import Path

import pytest

from recam_cli.core import signals
from recam_cli.core.errors import DataError, ExitCode, RecamError, ResourceError
from recam_cli.core.masks.pool import WorkerFailureError, run_over
from tests.helpers import pool_work

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def collect(function, items, workers, **options):
    received = []
    run_over(function, items, lambda item, result: received.append((item, result)), workers=workers, **options)
    return received


@pytest.mark.parametrize("workers", [0, 2])
def test_every_item_is_received_once_with_its_result(workers):
    received = collect(pool_work.double, iter(range(30)), workers)

    assert sorted(received) == [(n, 2 * n) for n in range(30)]


def test_no_items_start_no_worker():
    assert collect(pool_work.double, [], 2) == []


def test_workers_have_one_thread_and_no_torch_even_where_the_parent_has_it(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    [(_, seen)] = collect(pool_work.surroundings, ["a"], 1)

    assert seen["pid"] != os.getpid()
    assert (seen["omp"], seen["cv2"], seen["torch"]) == ("1", 1, False)
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ


def test_items_are_drawn_only_as_workers_become_free():
    drawn, received, most = 0, 0, 0

    def items():
        nonlocal drawn
        for n in range(50):
            drawn += 1
            yield n

    def receive(item, result):
        nonlocal received, most
        most = max(most, drawn - received)
        received += 1

    run_over(pool_work.double, items(), receive, workers=2)

    assert received == 50
    assert most <= 2


@pytest.mark.parametrize("workers", [0, 2])
def test_an_expected_error_keeps_its_class_and_remedy_and_names_the_item(workers):
    with pytest.raises(DataError) as caught:
        collect(pool_work.refuse_bad, ["good", "bad"], workers)

    assert str(caught.value) == "bad: the file is torn. Replace it"
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert caught.value.remedy == "Replace it"


def test_an_error_that_names_the_item_already_is_left_as_it_is():
    def torn(item):
        raise DataError(f"/photos/{item}.jpg: torn")

    with pytest.raises(DataError, match=r"^/photos/img_1\.jpg: torn$"):
        collect(torn, ["img_1"], 0)
    with pytest.raises(DataError, match=r"^img: /photos/img_1\.jpg: torn$"):
        collect(torn, ["img_1"], 0, name_of=lambda _: "img")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unexpected_error_becomes_one_line_with_item_and_cause(workers):
    with pytest.raises(RecamError) as caught:
        collect(pool_work.divide_by_zero, ["img_7"], workers)

    assert type(caught.value) is RecamError
    assert str(caught.value) == "img_7: ZeroDivisionError: division by zero"
    assert isinstance(caught.value.__cause__, WorkerFailureError)
    assert "in divide_by_zero" in str(caught.value.__cause__)


def test_lack_of_memory_names_the_item_and_the_remedy():
    with pytest.raises(ResourceError, match=r"^img_7: not enough memory\. Use fewer --workers"):
        collect(pool_work.run_out_of_memory, ["img_7"], 0)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_without_shared_memory_one_line_says_how_to_do_without(monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_multiprocessing, "SemLock", refuse)
    with pytest.raises(ResourceError, match=r"cannot start a worker process: .*/dev/shm.*--workers 0.*--shm-size"):
        collect(pool_work.double, [1, 2], 2)


def test_a_worker_that_a_signal_to_the_whole_job_ended_is_no_error_of_its_own(monkeypatch):
    monkeypatch.setattr(signals, "_pending", [signal.SIGTERM])
    with pytest.raises(signals.Interrupted):
        collect(pool_work.die, ["killed"], 1)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("killed", "was killed (SIGKILL)"),
        ("crash", "was ended by signal SIGSEGV"),
        ("exit", "ended with exit code 7"),
    ],
)
def test_a_dead_worker_ends_the_work_with_one_line_instead_of_a_hang(how, words):
    begun = time.monotonic()

    with pytest.raises(RecamError) as caught:
        collect(pool_work.die, ["fine", "sleeper", how], 2)

    assert time.monotonic() - begun < 20
    assert words in str(caught.value)
    assert how in str(caught.value)
    assert "one of" in str(caught.value)
    assert "fine" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_killed_worker_points_at_memory_and_workers():
    with pytest.raises(RecamError, match=r"out of memory\. Use fewer --workers.*finished items are kept"):
        collect(pool_work.die, ["killed"], 1)


def test_a_function_without_a_pickle_is_named_not_taken_for_a_dead_worker():
    with pytest.raises(RecamError, match=r"^img_1: "):
        collect(lambda item: item, ["img_1"], 1)


@needs_linux
@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("full disk")])
def test_an_error_in_the_parent_ends_the_workers_promptly(error):
    def receive(item, pid):
        pids.append(pid)
        raise error

    pids: list[int] = []
    begun = time.monotonic()
    with pytest.raises(type(error)):
        run_over(pool_work.sleep_unless_quick, ["quick", "slow", "slow"], receive, workers=2)

    assert time.monotonic() - begun < 20
    assert pool_work.wait_until(lambda: not pool_work.is_alive(pids[0]))


@needs_linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_no_worker_outlives_its_parent(number, tmp_path):
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job of a shell ignores it
        "from recam_cli.core.masks.pool import run_over\n"
        "from tests.helpers.pool_work import note_pid_and_sleep\n"
        f"run_over(note_pid_and_sleep, [{str(tmp_path)!r}] * 2, print, workers=2)\n"
    )
    root = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    try:
        assert pool_work.wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        workers = [int(p.name) for p in tmp_path.iterdir()]
        if number == signal.SIGINT:
            os.killpg(parent.pid, number)  # as a terminal does on Ctrl-C: to parent and workers alike
        else:
            parent.kill()

        errors = parent.communicate(timeout=60)[1]
        assert pool_work.wait_until(lambda: not any(map(pool_work.is_alive, workers)))
        assert parent.returncode == -number
        assert errors.count("Traceback") == (1 if number == signal.SIGINT else 0)
    finally:
        parent.kill()
