"""Batches of photographs: of one size as they are read, whatever their own."""

from __future__ import annotations

import pytest

from recam_cli.core.data.images import write_image
from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.samples import Sample
from tests.helpers.tiny_data import draw_photo

SIZES = {"a": (30, 40), "b": (60, 80), "c": (90, 120), "d": (61, 80), "e": (15, 20)}


@pytest.fixture
def samples(tmp_path):
    for name, size in SIZES.items():
        write_image(tmp_path / f"{name}.png", draw_photo((0,), size=size)[0])
    return [Sample(name, tmp_path / f"{name}.png", (0,)) for name in SIZES]


def groups(samples, **options):
    batches = list(read_batches(samples, 8, max_pixels=10**6, workers=0, **options))
    for batch in batches:
        assert len({image.shape for image in batch.images}) == 1
        assert batch.sizes == [SIZES[sample.id] for sample in batch.samples]
    return sorted("".join(sample.id for sample in batch.samples) for batch in batches)


def test_batches_group_by_the_size_that_is_read(samples):
    assert groups(samples) == ["a", "b", "c", "d", "e"]
    assert groups(samples, longest=40) == ["abc", "d", "e"]
    assert groups(samples, longest=20) == ["abcde"]


def test_working_copies_are_of_one_size_too_where_photographs_are_read_larger(samples):
    assert groups(samples, longest=80, work_side=20) == ["a", "bc", "d", "e"]
    assert groups(samples, longest=20, work_side=80) == ["a", "bc", "d", "e"]
