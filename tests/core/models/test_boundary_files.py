from __future__ import annotations

import pytest
import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models.boundary_files import boundary_digest, load_boundary
from recam_cli.core.models.branch_files import BOUNDARY, save_branch
from recam_cli.core.models.checkpoint import read_about
from recam_cli.core.runs.files import sha256_of
from tests.core.models.test_displacement import net_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("displacement", [False, True])
def test_a_network_comes_back_as_it_was_written(tmp_path, displacement):
    net, images = net_of("resnet18", displacement=displacement), torch.randn(1, 3, 32, 40)
    if displacement:
        net.displacement.mean.copy_(torch.tensor([0.5, 2.0]))
    save_branch(tmp_path / "irn.safetensors", BOUNDARY, net, epochs=3)

    again = load_boundary(tmp_path / "irn.safetensors", CPU, displacement=displacement)

    with torch.inference_mode():
        assert torch.allclose(again.boundaries(images), net.boundaries(images), atol=1e-5)
        if displacement:
            assert torch.allclose(again.with_field(images)[1], net.with_field(images)[1], atol=1e-4)
    assert (again.displacement is not None) == displacement
    assert ("displacement" in read_about(tmp_path / "irn.safetensors")) == displacement


def test_the_digest_is_that_of_the_file_without_the_displacement_branch(tmp_path):
    alone, both, other = (tmp_path / f"{name}.safetensors" for name in ("alone", "both", "other"))
    save_branch(alone, BOUNDARY, net_of("resnet18", displacement=False), epochs=3)
    save_branch(both, BOUNDARY, net_of("resnet18"), epochs=3)
    save_branch(other, BOUNDARY, net_of("resnet18"), epochs=4)

    assert boundary_digest(alone) == boundary_digest(both) == sha256_of(alone) != sha256_of(both)
    assert boundary_digest(other) != boundary_digest(both)


def test_a_file_without_the_branch_is_refused_where_it_is_needed(tmp_path):
    path = tmp_path / "irn.safetensors"
    save_branch(path, BOUNDARY, net_of("resnet18", displacement=False))
    with pytest.raises(DataError, match="without a displacement branch") as caught:
        load_boundary(path, CPU, displacement=True)
    assert str(path) in str(caught.value)
    assert "--instances" in str(caught.value)
