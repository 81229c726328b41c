"""Augmentation: what is drawn, how far images move, and what stays as it is."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from sterna.train.augment import Augmentation, augment
from sterna.train.recipe import Recipe, RecipeError, parse_recipe


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(16, 1, 9, 9, generator=torch.Generator().manual_seed(seed))


def test_no_augmentation_changes_nothing() -> None:
    same, generator = images(), torch.Generator()
    before = generator.get_state()
    assert augment(same, Augmentation(), generator) is same
    assert torch.equal(generator.get_state(), before)
    vectors = torch.rand(4, 7)
    assert augment(vectors, Augmentation(), generator) is vectors


def test_augmentation_of_no_size_is_the_identity_of_the_grid() -> None:
    moved = augment(images(), Augmentation(shift=1e-9), torch.Generator().manual_seed(1))
    assert torch.allclose(moved, images(), atol=1e-5)


def test_augmentation_is_repeatable_and_moves_every_image() -> None:
    how = Augmentation(shift=1, rotate_degrees=10, scale=0.1, shear=0.1, elastic=0.5)
    one, other = (augment(images(), how, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, other)
    assert ((one - images()).abs().flatten(1).max(dim=1).values > 0.01).all()


def test_shift_is_in_pixels() -> None:
    dot = torch.zeros(200, 1, 9, 9)
    dot[:, :, 4, 4] = 1
    moved = augment(dot, Augmentation(shift=2), torch.Generator().manual_seed(3))
    assert moved.sum(dim=(1, 2, 3)).allclose(torch.ones(200), atol=1e-4)
    for other_axis in (2, 3):
        place = (moved.sum(dim=other_axis) * torch.arange(9)).sum(dim=(1, 2))
        assert 2 <= place.min() < 2.2
        assert 5.8 < place.max() <= 6


def test_rotation_keeps_the_center_and_turns_the_rest() -> None:
    bar = torch.zeros(50, 1, 9, 9)
    bar[:, :, 4, 1:8] = 1
    moved = augment(bar, Augmentation(rotate_degrees=45), torch.Generator().manual_seed(4))
    assert (moved[:, 0, 4, 4] > 0.6).all()
    above, below = moved[:, 0, 2, 2] > 0.3, moved[:, 0, 6, 2] > 0.3  # the left half of the bar, turned either way
    assert above.any()
    assert below.any()
    assert not (above & below).any()
    assert torch.equal(above, moved[:, 0, 6, 6] > 0.3)


def test_rotation_is_rigid() -> None:
    ring = (torch.arange(31) - 15.0).square()
    ring = (-((ring[:, None] + ring).sqrt() - 9).square() / 4).exp().expand(20, 1, 31, 31)
    moved = augment(ring, Augmentation(rotate_degrees=60), torch.Generator().manual_seed(5))
    assert torch.allclose(moved, ring, atol=0.1)  # what interpolation blurs


def test_shear_and_scale_move_what_they_should() -> None:
    line = torch.zeros(100, 1, 21, 21)
    line[:, :, :, 10] = 1
    sheared = augment(line, Augmentation(shear=0.5), torch.Generator().manual_seed(6))
    assert torch.allclose(sheared[:, 0, 10], line[:, 0, 10], atol=1e-4)  # the middle row stays
    top = (sheared[:, 0, 0] * torch.arange(21)).sum(dim=1)
    assert 5 <= top.min() < 6
    assert 14 < top.max() <= 15
    block = torch.zeros(100, 1, 21, 21)
    block[:, :, 5:16, 5:16] = 1
    area = augment(block, Augmentation(scale=0.2), torch.Generator().manual_seed(7)).sum(dim=(1, 2, 3)) / 121
    assert 1 / 1.2**2 - 0.02 < area.min() < 0.8
    assert 1.3 < area.max() < 1 / 0.8**2 + 0.02


def colors(count: int = 400, height: int = 6, width: int = 8) -> torch.Tensor:
    """Images of three channels in which every pixel has a value of its own, all above 0."""
    return torch.arange(1.0, 1 + count * 3 * height * width).reshape(count, 3, height, width)


def draw(images: torch.Tensor, seed: int = 8, **how: Any) -> torch.Tensor:
    return augment(images, Augmentation(**how), torch.Generator().manual_seed(seed))


def crops(image: torch.Tensor, crop: int) -> Iterator[tuple[tuple[int, int], torch.Tensor]]:
    """Every place to crop at, and the crop there, of one image, (channels, height, width)."""
    _, height, width = image.shape
    padded = F.pad(image[None], (crop,) * 4, mode="reflect")[0]
    for y, x in itertools.product(range(2 * crop + 1), repeat=2):
        yield (y, x), padded[:, y : y + height, x : x + width]


def near(share: float, expected: float, count: int) -> bool:
    """Whether a share of ``count`` draws is within four deviations of its expectation."""
    return abs(share - expected) < 4 * (expected * (1 - expected) / count) ** 0.5


def test_flip_mirrors_half_of_the_images() -> None:
    before = colors()
    after = draw(before, flip=True)
    same = (after == before).flatten(1).all(dim=1)
    mirrored = (after == before.flip(3)).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert near(float(mirrored.float().mean()), 1 / 2, len(before))


@pytest.mark.parametrize("crop", [1, 2, 4])
def test_crop_takes_any_place_of_the_reflected_image(crop: int) -> None:
    before = colors()
    found = []
    for image, after in zip(before, draw(before, crop=crop), strict=True):
        places = [place for place, cropped in crops(image, crop) if torch.equal(cropped, after)]
        assert len(places) == 1
        found += places
    for axis in (0, 1):
        for offset in range(2 * crop + 1):
            share = sum(place[axis] == offset for place in found) / len(found)
            assert near(share, 1 / (2 * crop + 1), len(found))
    assert near(sum(y == x for y, x in found) / len(found), 1 / (2 * crop + 1), len(found))  # axes on their own


def test_flip_and_crop_are_independent() -> None:
    before = colors()
    found = set()
    for image, after in zip(before, draw(before, flip=True, crop=1), strict=True):
        for place, cropped in crops(image, 1):
            found |= {
                (place, flip) for flip in (False, True) if torch.equal(cropped.flip(2) if flip else cropped, after)
            }
    assert len(found) == 9 * 2


@pytest.mark.parametrize("side", [1, 2, 3, 6])
def test_cutout_is_one_square_around_any_pixel(side: int) -> None:
    before = colors(count=2000)
    after = draw(before, cutout=side)
    cut = after == 0
    assert torch.equal(after, before.masked_fill(cut, 0))
    assert torch.equal(cut.all(dim=1), cut.any(dim=1))
    found = set()
    for image in cut[:, 0]:
        rows, columns = image.any(dim=1).nonzero().flatten().tolist(), image.any(dim=0).nonzero().flatten().tolist()
        assert image.sum() == len(rows) * len(columns)
        found.add((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    expected = set()
    for y, x in itertools.product(range(6), range(8)):
        top, left = y - side // 2, x - side // 2
        expected.add((max(top, 0), min(top + side, 6), max(left, 0), min(left + side, 8)))
    assert found == expected


def test_cutout_centers_are_uniform() -> None:
    cut = (draw(colors(count=4800), cutout=1) == 0)[:, 0].float().mean(dim=0)
    assert all(near(float(share), 1 / 48, 4800) for share in cut.flatten())


@pytest.mark.parametrize("how", [{"flip": True}, {"crop": 2}, {"cutout": 3}, {"flip": True, "crop": 2, "cutout": 3}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_whole_pixels_are_not_interpolated(
    how: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(F, "grid_sample", None)
    before = images().to(dtype)
    kept = before.clone()
    after = draw(before, **how)
    assert after.dtype == dtype
    assert after.shape == before.shape
    assert torch.equal(before, kept)
    assert torch.isin(after, torch.cat([before.flatten(), torch.zeros(1, dtype=dtype)])).all()
    assert torch.equal(after, draw(before, **how))
    assert not torch.equal(after, draw(before, seed=9, **how))


def test_layout_in_memory_does_not_matter() -> None:
    before = colors()
    how: dict[str, Any] = {"flip": True, "crop": 2, "cutout": 3}
    assert torch.equal(draw(before.to(memory_format=torch.channels_last), **how), draw(before, **how))


@pytest.mark.parametrize(("elastic", "normal"), [(0.0, 0), (0.5, 16 * 2 * 4 * 4)])
def test_deformations_draw_what_they_always_drew(elastic: float, normal: int) -> None:
    """Trained models depend on it."""
    generator, expected = (torch.Generator().manual_seed(10) for _ in range(2))
    augment(images(), Augmentation(shift=1, elastic=elastic), generator)
    for _ in ("angle", "stretch_x", "stretch_y", "shear", "shift_x", "shift_y"):
        torch.rand(16, generator=expected)
    if normal:
        torch.randn(normal, generator=expected)
    assert torch.equal(generator.get_state(), expected.get_state())


@pytest.mark.parametrize("name", ["shift", "rotate_degrees", "scale", "shear", "elastic"])
def test_each_deformation_can_stand_alone(name: str) -> None:
    assert ((draw(images(), **{name: 0.5}) - images()).abs().flatten(1).max(dim=1).values > 1e-3).all()


def test_deformations_come_first() -> None:
    deformed = draw(images(), shift=1.5, rotate_degrees=8)
    flipped = draw(images(), shift=1.5, rotate_degrees=8, flip=True)
    same, mirrored = ((flipped == other).flatten(1).all(dim=1) for other in (deformed, deformed.flip(3)))
    assert (same ^ mirrored).all()
    cut = draw(images(), shift=1.5, rotate_degrees=8, cutout=3)
    assert torch.equal(cut[cut != 0], deformed[cut != 0])


def test_cutout_comes_last() -> None:
    before = colors()
    cut = draw(before, crop=2, cutout=3) == 0
    assert cut.flatten(1).sum(dim=1).max() == 3 * 9  # a square before would be reflected with the border


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"crop": -1}, "crop must not be negative, not -1"),
        ({"cutout": -8}, "cutout must not be negative, not -8"),
        ({"flip": -1}, "flip must not be negative, not -1"),
        ({"crop": float("inf")}, "crop must not be negative, not inf"),
    ],
)
def test_negative_values_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Augmentation(**how)
    assert str(caught.value) == message


def test_largest_sizes() -> None:
    before = colors(count=8)
    assert draw(before, cutout=6).shape == before.shape
    for image, after in zip(before, draw(before, crop=5), strict=True):
        assert any(torch.equal(cropped, after) for _, cropped in crops(image, 5))
    for how, message in (
        ({"crop": 6}, "crop must be below 6 for images of 6 x 8 pixels, not 6"),
        ({"cutout": 7}, "cutout must be at most 6 for images of 6 x 8 pixels, not 7"),
    ):
        for tall in (False, True):
            with pytest.raises(ValueError) as caught:
                draw(before.mT if tall else before, **how)
            assert str(caught.value) == (message.replace("6 x 8", "8 x 6") if tall else message)


def recipe(how: str) -> Recipe:
    """A recipe whose ``[data]`` has ``augment = { how }``."""
    text = (Path(__file__).parents[2] / "recipes" / "digits-mlp.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    table["data"]["augment"] = tomllib.loads(f"augment = {{ {how} }}")["augment"]
    return parse_recipe(table, source="r.toml")


def test_recipes_can_ask_for_it() -> None:
    assert recipe("flip = true, crop = 4").data.augment == Augmentation(flip=True, crop=4)
    assert recipe("cutout = 8").data.augment == Augmentation(cutout=8)
    assert not recipe("flip = false, crop = 0, cutout = 0").data.augment


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("flip = 1", "r.toml: data.augment.flip must be true or false, not 1"),
        ("crop = 4.0", "r.toml: data.augment.crop must be an integer, not 4.0"),
        ("crop = -4", "r.toml: data.augment.crop must not be negative, not -4"),
        ("cutout = true", "r.toml: data.augment.cutout must be an integer, not True"),
    ],
)
def test_recipes_with_other_values_are_refused(how: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(how)
    assert str(caught.value) == message
