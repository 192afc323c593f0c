"""Class maps of several scales and the mirror image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recam_cli.core.cams.fusion import class_maps, normalised_maps
from recam_cli.core.data.transforms import resized, to_tensor


def _network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5, stride=8, padding=2), torch.nn.ReLU())


def _photos(count, size=(45, 62)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def _by_hand(network, weight, image, scales):
    """One image, one scale, one view at a time, as the recipe words it."""
    height, width = image.shape[:2]
    cells = (-(-height // 4), -(-width // 4))
    total = torch.zeros(len(weight), *cells)
    for scale in scales:
        small = to_tensor(resized(image, (round(height * scale), round(width * scale))))[None]
        with torch.no_grad():
            plain = F.relu(F.conv2d(network(small), weight[:, :, None, None]))
            mirrored = F.relu(F.conv2d(network(small.flip(3)), weight[:, :, None, None])).flip(3)
        total += F.interpolate(plain + mirrored, size=cells, mode="bilinear", align_corners=False)[0]
    return total


def test_maps_equal_the_recipe_done_by_hand():
    network, weight = _network(), torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    [image] = _photos(1)
    maps = class_maps(network, weight, [image], scales=(1.0, 0.5, 1.5))
    torch.testing.assert_close(maps[0], _by_hand(network, weight, image, (1.0, 0.5, 1.5)), atol=1e-5, rtol=1e-4)


def test_a_batch_gives_what_its_images_give_alone():
    network, weight = _network(), torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    images = _photos(3)
    together = class_maps(network, weight, images, scales=(1.0, 2.0))
    for index, image in enumerate(images):
        alone = class_maps(network, weight, [image], scales=(1.0, 2.0))
        torch.testing.assert_close(together[index], alone[0], atol=1e-5, rtol=1e-4)


def test_mirroring_the_photograph_mirrors_its_maps():
    network, weight = _network(), torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    [image] = _photos(1, (48, 64))
    maps = class_maps(network, weight, [image], scales=(1.0,))
    mirrored = class_maps(network, weight, [np.ascontiguousarray(image[:, ::-1])], scales=(1.0,))
    torch.testing.assert_close(mirrored, maps.flip(3), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5)])
def test_tiny_photographs_have_maps(size):
    maps = class_maps(_network(), torch.ones(2, 6), _photos(1, size))
    assert maps.shape == (1, 2, -(-size[0] // 4), -(-size[1] // 4))


def test_normalised_maps_keep_the_asked_classes_in_order_and_peak_at_one():
    maps = torch.rand(5, 8, 9) * 7 + 0.5
    chosen = normalised_maps(maps, [3, 0])
    assert chosen.shape == (2, 8, 9)
    torch.testing.assert_close(chosen.amax(dim=(1, 2)), torch.ones(2), atol=1e-4, rtol=0)
    assert int(chosen[0].argmax()) == int(maps[3].argmax())


def test_sides_in_pixels_are_the_scales_that_give_them():
    network, weight = _network(), torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    images = _photos(2, (48, 60))
    maps = class_maps(network, weight, images, sides=(60, 30, 120))
    assert torch.equal(maps, class_maps(network, weight, images, scales=(1.0, 0.5, 2.0)))
    assert torch.equal(class_maps(network, weight, images, sides=(0,)), class_maps(network, weight, images))


def test_maps_of_a_large_photograph_are_those_of_its_small_copy():
    network, weight = _network(), torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    [small] = _photos(1, (24, 32))
    small = np.kron(small, np.ones((4, 4, 1), np.uint8))
    large = np.kron(small, np.ones((5, 5, 1), np.uint8))
    maps = class_maps(network, weight, [large], sides=(32, 48), work=small.shape[:2])
    assert maps.shape[2:] == (24, 32)
    torch.testing.assert_close(maps, class_maps(network, weight, [small], sides=(32, 48)), atol=0.05, rtol=0.02)


@pytest.mark.parametrize("sizes", [{"scales": (1.0, 2.0)}, {"sides": (62, 124)}])
@pytest.mark.parametrize("together", [1, 45 * 62, 3 * 45 * 62, 5 * 45 * 62, 10**9])
def test_maps_seen_in_parts_are_those_seen_together(sizes, together):
    network, weight = _network(), torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    images, seen = _photos(3), []

    def watched(views):
        seen.append(len(views) * views.shape[2] * views.shape[3])
        return network(views)

    found = class_maps(watched, weight, images, together=together, **sizes)
    torch.testing.assert_close(found, class_maps(network, weight, images, **sizes), atol=1e-5, rtol=1e-4)
    assert all(pixels <= together or pixels in (45 * 62, 90 * 124) for pixels in seen)
    assert sum(seen) == 2 * 3 * (45 * 62 + 90 * 124)


def test_maps_without_mirroring_are_seen_in_parts_too():
    network, weight = _network(), torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    images = _photos(3)
    whole = class_maps(network, weight, images, scales=(1.0,), flip=False)
    parts = class_maps(network, weight, images, scales=(1.0,), flip=False, together=1)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)
