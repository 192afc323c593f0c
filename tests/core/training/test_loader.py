"""Batches follow from (seed, epoch, index), whatever the number of workers."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.synchronize import _multiprocessing

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.data.transforms import Augmentation, normalise
from recam_cli.core.errors import DataError, RecamError, ResourceError
from recam_cli.core.training.loader import TrainingImages, batches_per_epoch, epoch_batches, load_batches
from recam_cli.core.training.schedule import poly, warmed_poly
from tests.helpers.tiny_data import make_custom


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return open_custom(make_custom(tmp_path_factory.mktemp("data"), n=8), "train")


def _data(images, seed=0, masks=False):
    return TrainingImages(images.samples, images.targets(), Augmentation(32, (24, 60)), seed, 10**6, masks)


def test_batches_are_the_same_for_any_number_of_workers(images):
    data = _data(images)
    keys = epoch_batches(len(data), 2, 0, 3)
    runs = [list(load_batches(data, keys, workers)) for workers in (0, 2)]
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.indices, b.indices)


def test_other_epochs_and_other_seeds_draw_other_augmentations(images):
    same, other_epoch = _data(images)[0, 0], _data(images)[1, 0]
    assert torch.equal(_data(images)[0, 0].image, same.image)
    assert not torch.equal(other_epoch.image, same.image)
    assert not torch.equal(_data(images, seed=1)[0, 0].image, same.image)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_shows_each_image_at_most_once_in_full_batches(count, size, epoch):
    batches = epoch_batches(count, size, 0, epoch)
    shown = [index for batch in batches for _, index in batch]
    assert len(batches) == batches_per_epoch(count, size)
    assert len(shown) == len(set(shown))
    assert len(shown) == (count if count < size else count - count % size)


def test_labels_travel_with_their_image_and_masks_with_their_pixels(images):
    for index in range(len(images)):
        item = _data(images, masks=True)[0, index]
        assert set(item.labels.nonzero().flatten().tolist()) == set(images.samples[index].labels)
        shown = set(item.mask.unique().tolist()) - {0, IGNORE}
        assert shown <= {label + 1 for label in images.samples[index].labels}


def test_images_read_small_carry_their_masks_reduced_alike(tmp_path):
    images = open_custom(make_custom(tmp_path, n=2, size=(120, 160), splits={"train": [0, 1]}), "train")
    augmentation = Augmentation.within(48, (1.0, 1.0), (40, 40))
    data = TrainingImages(images.samples, images.targets(), augmentation, 0, 10**6, masks=True, longest=40)
    item = data[(0, 0)]
    mask = item.mask.numpy()
    assert item.image.shape == (3, 48, 48)
    assert (mask != IGNORE).sum() > 0.7 * 30 * 40
    assert images.samples[0].labels[0] + 1 in mask
    whole = TrainingImages(images.samples, images.targets(), augmentation, 0, 10**6, masks=True)[(0, 0)].mask.numpy()
    assert (mask == whole).mean() > 0.95


def test_lengths_in_pixels_are_drawn_where_there_are_any():
    lengths = Augmentation.within(64, (0.5, 1.5), (40, 40))
    factors = Augmentation.within(64, (0.5, 0.5), (0, 0))
    assert (lengths.relative, lengths.mean) == (False, (0.0, 40))
    assert (factors.relative, factors.mean) == (True, (0.5, 0))
    for side in (20, 80):
        drawn, _ = lengths(np.full((side // 2, side, 3), 255, np.uint8), None, np.random.default_rng(0))
        assert (drawn.any(axis=2)).sum() == 20 * 40
        drawn, _ = factors(np.full((side // 2, side, 3), 255, np.uint8), None, np.random.default_rng(0))
        assert (drawn.any(axis=2)).sum() == side // 4 * side // 2


def test_small_images_lie_on_a_canvas_of_mean_colour_that_masks_ignore():
    image = np.full((10, 12, 3), 200, dtype=np.uint8)
    mask = np.ones((10, 12), dtype=np.uint8)
    pixels, labels = Augmentation(40, (12, 12))(image, mask, np.random.default_rng(0))
    inside = labels != IGNORE
    assert inside.sum() == 120
    assert np.all(pixels[~inside] == 0)
    np.testing.assert_allclose(pixels[inside], np.broadcast_to(normalise(image[:1, :1])[0], (120, 3)), rtol=1e-5)


def test_image_and_mask_are_cut_and_mirrored_alike():
    mask = np.zeros((60, 80), dtype=np.uint8)
    mask[10:30, 5:25] = 1
    image = np.repeat((mask * 255)[..., None], 3, axis=2)
    for draw in range(20):
        pixels, labels = Augmentation(48, (60, 120))(image, mask, np.random.default_rng(draw))
        bright = pixels[..., 0] > 0.5
        known = labels != IGNORE
        assert np.mean(bright[known] != (labels[known] == 1)) < 0.03


@given(st.integers(1, 1000))
def test_poly_falls_from_one_to_zero(total):
    rates = [poly(step, total) for step in range(total + 1)]
    assert rates[0] == 1
    assert rates[-1] == 0
    assert rates == sorted(rates, reverse=True)


def test_warm_up_rises_linearly_into_poly():
    assert warmed_poly(0, 100, 10) == pytest.approx(0.1)
    assert warmed_poly(50, 100, 10) == poly(50, 100)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named_in_one_line_from_any_process(tmp_path, workers):
    root = make_custom(tmp_path, n=8)
    images = open_custom(root, "train")
    images.samples[1].image.write_bytes(b"broken")
    data = _data(images)
    with pytest.raises(DataError) as caught:
        list(load_batches(data, epoch_batches(len(data), 1, 0, 0), workers))
    assert images.samples[1].image.name in str(caught.value)
    assert "Traceback" not in str(caught.value)


@dataclass(frozen=True)
class _Faulty(TrainingImages):
    def __getitem__(self, key):
        raise KeyError("a fault of ours")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unexpected_error_of_a_worker_names_the_image_and_the_cause(images, workers):
    data = _Faulty(images.samples, images.targets(), Augmentation(32), 0, 10**6)
    with pytest.raises(RecamError, match=r"^img_\d+: KeyError: 'a fault of ours'$"):
        list(load_batches(data, epoch_batches(len(data), 2, 0, 0), workers))


@dataclass(frozen=True)
class _Suicidal(TrainingImages):
    def __getitem__(self, key):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_ends_training_with_its_likely_cause(images):
    data = _Suicidal(images.samples, images.targets(), Augmentation(32), 0, 10**6)
    with pytest.raises(ResourceError, match=r"killed \(SIGKILL\) .*img_\d+.*ran out of memory\. Use fewer --workers"):
        list(load_batches(data, epoch_batches(len(data), 2, 0, 0), 1))


def test_workers_need_no_shared_memory(images, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_multiprocessing, "SemLock", full)
    monkeypatch.setattr(torch.UntypedStorage, "_new_shared", full)
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    data = _data(images, masks=True)
    keys = epoch_batches(len(data), 2, 0, 0)
    alone, together = (list(load_batches(data, keys, workers)) for workers in (0, 3))
    for a, b in zip(alone, together, strict=True):
        assert all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))


def test_a_killed_worker_is_told_where_its_batch_is_awaited_and_nowhere_else(images):
    data = _data(images)
    batches = load_batches(data, [batch for epoch in range(40) for batch in epoch_batches(len(data), 2, 0, epoch)], 2)
    next(batches)
    for worker in multiprocessing.active_children():
        worker.kill()
    time.sleep(0.1)  # a step, say, in which a signal handler could raise
    with pytest.raises(ResourceError, match="SIGKILL"):
        list(batches)


def test_signals_to_all_processes_of_a_job_are_left_to_the_parent(images):
    data = _data(images)
    keys = [batch for epoch in range(10) for batch in epoch_batches(len(data), 2, 0, epoch)]
    batches = load_batches(data, keys, 2)
    next(batches)
    for worker in multiprocessing.active_children():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(worker.pid, number)
    assert len(list(batches)) == len(keys) - 1


def test_no_worker_is_left_once_the_batches_are_closed(images):
    data = _data(images)
    batches = load_batches(data, epoch_batches(len(data), 2, 0, 0), 2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert multiprocessing.active_children() == []


@dataclass(frozen=True)
class _Hungry(TrainingImages):
    def __getitem__(self, key):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_lack_of_memory_names_the_image_from_any_process(images, workers):
    data = _Hungry(images.samples, images.targets(), Augmentation(32), 0, 10**6)
    with pytest.raises(ResourceError, match=r"^img_\d+: not enough memory\. Use a smaller --batch-size"):
        list(load_batches(data, epoch_batches(len(data), 2, 0, 0), workers))


def test_a_process_that_cannot_be_started_is_one_line_with_the_remedy(images, monkeypatch):
    def fork():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(ResourceError, match=r"cannot start a worker process: .*Use fewer --workers"):
        list(load_batches(_data(images), epoch_batches(8, 2, 0, 0), 2))
