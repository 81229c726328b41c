"""Random small deformations of images, as tensor operations on a whole batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far training images are moved; 0 everywhere leaves them alone.

    Parameters
    ----------
    shift : largest shift along each axis, in pixels.
    rotate_degrees : largest rotation either way.
    scale : largest relative change of size, along each axis on its own.
    shear : largest shear, as a tangent.
    elastic : deviation of a smooth random displacement, in pixels.
    """

    shift: float = 0.0
    rotate_degrees: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must not be negative, not {value}")

    def __bool__(self) -> bool:
        return any(vars(self).values())


def augment(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Deform each image on its own; outside of an image is 0.

    Parameters
    ----------
    images : float, (batch, channels, height, width).
    how : the limits; each value is drawn uniformly, the elastic displacement normally on a 4 x 4 grid.
    generator : on the images' device.
    """
    if not how:
        return images
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
