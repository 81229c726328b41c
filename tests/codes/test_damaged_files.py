"""Files of encoded matrices damaged at random: loaded, or refused with the file's name, and never anything else."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from damage import check_load, damaged

from sterna.codes import CODES, load_code, save_code

TERNARY = np.array([[0, 1, 0, -1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, -1]], dtype=np.int8)
MATRICES = (TERNARY, TERNARY.astype(np.float32), np.zeros((3, 4), np.int16))


def samples(folder: Path) -> list[bytes]:
    contents = []
    for code in CODES.values():
        for matrix in MATRICES:
            save_code(code.encode(matrix), folder / "sample")
            contents.append((folder / "sample").read_bytes())
    return contents


def run(folder: Path, *, seed: int, files: int) -> None:
    contents = samples(folder)
    rng = random.Random(seed)
    for _ in range(files):
        content = damaged(rng.choice(contents), "sterna_code", rng)
        check_load(load_code, folder / "damaged.safetensors", content)


def test_undamaged_files_pass_the_check(tmp_path: Path) -> None:
    for content in samples(tmp_path):
        assert check_load(load_code, tmp_path / "whole.safetensors", content)


def test_damaged_files(tmp_path: Path) -> None:
    run(tmp_path, seed=0, files=1000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_many_damaged_files(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed=seed, files=4000)
