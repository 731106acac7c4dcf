"""Synthetic data for `large_data.py`: photographs of noise with the spectrum of natural images, and a table."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 224
CLASSES = 10
COLUMNS = 30


def photograph(number: int) -> Image.Image:
    """Noise of amplitude 1/frequency in three channels, and a bright stripe whose angle is the class."""
    draw = np.random.default_rng(number)
    angle = np.pi * (number % CLASSES) / CLASSES
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    stripe = 60.0 * (np.abs(rows * np.cos(angle) + columns * np.sin(angle)) < 0.15)
    pixels = np.repeat(stripe[..., None] + 110, 3, 2)
    for size in (4, 8, 16, 32, 64, 128):
        noise = draw.normal(0, 200 / size**0.5, (size, size, 3)).clip(-128, 127) + 128
        layer = Image.fromarray(noise.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels += (np.asarray(layer, dtype=np.float64) - 128) * 0.5
    pixels += draw.normal(0, 6, pixels.shape)  # of the sensor
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _write_photograph(task: tuple[Path, int]) -> None:
    path, number = task
    photograph(number).save(path, quality=90)


def write_photographs(folder: Path, count: int) -> Path:
    """A folder with one folder for each class; what is there stays."""
    root = folder / f"photographs-{count}"
    tasks = []
    for number in range(count):
        path = root / f"class-{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            tasks.append((path, number))
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write_photograph, tasks, chunksize=64))
    return root


def write_tables(folder: Path, rows: int) -> tuple[Path, Path]:
    """A table of 26 numbers, three categories and a time, with a target, as .parquet and .csv."""
    import polars

    parquet, csv = folder / f"table-{rows}.parquet", folder / f"table-{rows}.csv"
    if not (parquet.exists() and csv.exists()):
        draw = np.random.default_rng(0)
        numbers = {f"x{i}": draw.normal(size=rows).round(4) for i in range(COLUMNS - 4)}
        words = {f"c{i}": draw.choice(["north", "south", "east", "west", "none"], rows) for i in range(3)}
        days = np.datetime64("2020-01-01") + draw.integers(0, 1500, rows).astype("timedelta64[D]")
        score = numbers["x0"] * numbers["x1"] + numbers["x2"] + (words["c0"] == "north")
        y = (score + draw.normal(size=rows) > 0.5).astype(np.int64)
        table = polars.DataFrame({**numbers, **words, "day": days, "y": y})
        table.write_parquet(parquet)
        table.write_csv(csv)
    return parquet, csv
