"""The dense CRF of our own against pydensecrf, and the pair of confident labels against two separate ones.

pytest -m bench -s tests/benchmarks/bench_crf.py
"""

from __future__ import annotations

import time
from statistics import median

import cv2
import numpy as np
import pytest

from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image
from recam_cli.core.masks.crf import IRN, DenseCrf
from recam_cli.core.masks.unary import hard_unary
from tests.helpers.real_data import msrc_root

ROUNDS = 9


def _seconds(work):
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _unary(labels, height, width, seed):
    coarse = np.random.default_rng(seed).random((6, 8, labels)).astype(np.float32)
    return hard_unary(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).argmax(axis=2), labels)


@pytest.mark.bench
def test_native_is_not_slower_and_labels_alike():
    pytest.importorskip("pydensecrf")
    photo = read_image(next(iter(open_custom(msrc_root(), "train"))).image)
    image = np.ascontiguousarray(cv2.resize(photo, (500, 375), interpolation=cv2.INTER_CUBIC))
    print(f"\n{'labels':>6} {'native s':>9} {'pydensecrf s':>13} {'alike':>8} {'pair / two':>11}")
    shares = {}
    for labels in (2, 3, 4, 6):
        unaries = [_unary(labels, 375, 500, seed) for seed in (0, 1)]
        times = {"native": [], "pydensecrf": [], "pair": []}
        for _ in range(ROUNDS):  # in turns, so that whatever else the machine does hits all alike
            native, ours = _seconds(lambda u=unaries: DenseCrf(image, len(u[0]), IRN, backend="native").infer(u[0]))
            other, theirs = _seconds(
                lambda u=unaries: DenseCrf(image, len(u[0]), IRN, backend="pydensecrf").infer(u[0])
            )
            pair, _ = _seconds(lambda u=unaries: DenseCrf(image, len(u[0]), IRN, backend="native").infer_all(u))
            for name, value in (("native", native), ("pydensecrf", other), ("pair", pair)):
                times[name].append(value)
        alike = float((ours.argmax(0) == theirs.argmax(0)).mean())
        middle = {name: median(values) for name, values in times.items()}
        shares[labels] = middle["pair"] / (2 * middle["native"])
        print(
            f"{labels:>6} {middle['native']:9.3f} {middle['pydensecrf']:13.3f} {100 * alike:7.3f}% "
            f"{shares[labels]:11.2f}"
        )
        assert alike >= 0.995
        if labels == 3:
            assert middle["native"] <= 1.05 * middle["pydensecrf"]
    assert max(shares[2], shares[3]) <= 0.65
