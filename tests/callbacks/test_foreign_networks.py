"""Networks that nnlab does not know train to their end with the callbacks that a run has by default."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nnlab
from nnlab.errors import UserError
from nnlab.storage.files import PART
from nnlab.storage.run import Run

VIT = (
    "architecture={_target_: torchvision.models.VisionTransformer, image_size: 32, patch_size: 16, num_layers: 1, "
    "num_heads: 2, hidden_dim: 8, mlp_dim: 8, num_classes: 2}"
)


@pytest.fixture
def images(tmp_path: Path) -> str:
    """Two classes of color pictures."""
    from PIL import Image

    draws = torch.Generator().manual_seed(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            pixels = torch.randint(0, 255, (32, 32, 3), generator=draws, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / "images" / name / f"{i}.png")
    return str(tmp_path / "images")


def test_a_vision_transformer_ends_with_all_callbacks(images: str, tmp_path: Path) -> None:
    own = ["data=image_folder", f"data.path={images}", VIT, "trainer.epochs=2", f"output_dir={tmp_path}/out"]
    probe = "callbacks.diagnosis.probe=false"
    result = nnlab.train(*own, "data.size=32", probe)
    assert result.status == "completed"
    assert (result.directory / "checkpoints" / "best.ckpt").exists()
    measured = nnlab.evaluate(result.directory)
    assert measured.metrics["loss"] == pytest.approx(result.metrics["test"]["loss"])
    with pytest.raises(UserError, match="cannot take inputs of shape"):
        nnlab.train(*own, "data.size=16", probe)


def test_a_run_begins_without_the_temporary_files_of_its_pictures(tmp_path: Path) -> None:
    for folder in ("projector", "checkpoints", "figures"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f".images.png.1{PART}").touch()
    (tmp_path / "projector" / "images.png").touch()
    Run(tmp_path, [0]).create({})
    assert not list(tmp_path.rglob(f"*{PART}"))
    assert (tmp_path / "projector" / "images.png").exists()
