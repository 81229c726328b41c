"""Random changes of training images, as tensor operations on a whole batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sterna.net.errors import InvalidValueError

_LIMIT = 1000  # beyond any use, and far from where positions overflow


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far training images are changed; 0 everywhere leaves them alone.

    Parameters
    ----------
    shift : largest shift along each axis, in pixels.
    rotate_degrees : largest rotation either way.
    scale : largest relative change of size, along each axis on its own.
    shear : largest shear, as a tangent.
    elastic : deviation of a smooth random displacement, in pixels.
    flip : whether each image is mirrored left to right with probability 1/2.
    crop : pixels that each side is padded by, with the image's reflection; then a place to crop back at is drawn.
    cutout : side of a square that is set to 0, in pixels.
    """

    shift: float = 0.0
    rotate_degrees: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    flip: bool = False
    crop: int = 0
    cutout: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise InvalidValueError(f"{name} must not be negative, not {value}")
            if value > _LIMIT:
                raise InvalidValueError(f"{name} must be at most {_LIMIT}, not {value}")

    def __bool__(self) -> bool:
        return any(vars(self).values())

    @property
    def deforms(self) -> bool:
        """Whether pixels are interpolated: anything but ``flip``, ``crop`` and ``cutout``."""
        return any((self.shift, self.rotate_degrees, self.scale, self.shear, self.elastic))


def augment(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Change each image on its own: deform it, then crop and mirror it, then cut a square out.

    What is not asked for draws no random numbers and costs nothing. The images given stay as they are.

    Parameters
    ----------
    images : float, (batch, channels, height, width); float32 where they are deformed.
    how : the limits; each value is drawn uniformly, the elastic displacement normally on a 4 x 4 grid.
    generator : on the images' device.

    Returns
    -------
    Of the images' shape, dtype and device; ``images`` itself where nothing is asked for.

    Raises
    ------
    ValueError
        If ``crop`` or ``cutout`` is too large for the images.
    """
    if not how:
        return images
    check_sizes(how, *images.shape[2:])
    if how.deforms:
        images = _deform(images, how, generator)
    if how.flip or how.crop:
        images = _crop_and_flip(images, how, generator)
    if how.cutout:
        images = _cut_out(images, how.cutout, generator)
    return images


def check_sizes(how: Augmentation, height: int, width: int) -> None:
    """Raise :exc:`ValueError` if ``crop`` or ``cutout`` is too large for images of that size."""
    least = min(height, width)
    if how.crop >= least:  # a border wider than that has nothing to reflect
        raise InvalidValueError(f"crop must be below {least} for images of {height} x {width} pixels, not {how.crop}")
    if how.cutout > least:
        raise InvalidValueError(
            f"cutout must be at most {least} for images of {height} x {width} pixels, not {how.cutout}"
        )


def _deform(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Shift, rotate, scale, shear and bend; outside of an image is 0."""
    count, _, height, width = images.shape
    device = images.device

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator, device=device) * 2 - 1) * limit

    angle = uniform(math.radians(how.rotate_degrees))
    stretch_x, stretch_y = 1 + uniform(how.scale), 1 + uniform(how.scale)
    shear = uniform(how.shear)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    shift_x, shift_y = uniform(2 * how.shift / width), uniform(2 * how.shift / height)
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=device)  # pixel centers, as grid_sample counts
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=device)[:, None]

    def plane(along_x: Tensor, along_y: Tensor, shift: Tensor) -> Tensor:
        each = (slice(None), None, None)
        return along_x[each] * x + along_y[each] * y + shift[each]

    grid = torch.empty(count, height, width, 2, device=device)
    grid[..., 0] = plane(cosine * stretch_x, (shear - sine) * stretch_y, shift_x)
    grid[..., 1] = plane(sine * stretch_x, cosine * stretch_y, shift_y)
    if how.elastic:
        coarse = torch.randn(count, 2, 4, 4, generator=generator, device=device) * (2 * how.elastic / width)
        field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
        grid = grid + field.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _crop_and_flip(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Padding by reflection, cropping and mirroring as one look-up of where each pixel comes from."""
    count, channels, height, width = images.shape
    device = images.device

    def sources(size: int) -> Tensor:
        """Index that each place of an axis takes its pixel from: int64, (batch, size)."""
        places = torch.arange(size, device=device).expand(count, size)
        if not how.crop:
            return places
        offsets = torch.randint(-how.crop, how.crop + 1, (count, 1), generator=generator, device=device)
        return (size - 1) - ((size - 1) - (places + offsets).abs()).abs()

    rows, columns = sources(height), sources(width)
    if how.flip:
        mirrored = torch.rand(count, 1, generator=generator, device=device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).reshape(count, 1, height * width)
    return images.flatten(2).gather(2, pixels.expand(-1, channels, -1)).view(images.shape)


def _cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A square set to 0 in all channels, around a uniformly drawn pixel; what lies beyond the border is lost.

    Source: T. DeVries, G. W. Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017.
    """
    count, _, height, width = images.shape
    device = images.device

    def inside(size: int) -> Tensor:
        """Which places of an axis the square covers: bool, (batch, size)."""
        first = torch.randint(size, (count, 1), generator=generator, device=device) - side // 2
        places = torch.arange(size, device=device)
        return (first <= places) & (places < first + side)

    square = inside(height)[:, None, :, None] & inside(width)[:, None, None, :]
    return images.masked_fill(square, 0)
