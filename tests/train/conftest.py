from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from sterna.train.data import DataSet
from sterna.train.models import Mlp, Requantize
from sterna.train.quantizers import InputQuantizer, TernaryQuantizer


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order: resumed and unbroken runs are compared bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_data() -> DataSet:
    """Three classes of 4 x 4 images, told apart by which columns are bright."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(360) % 3
    images = torch.randint(0, 6, (360, 1, 4, 4), generator=generator)
    images[torch.arange(360), 0, :, labels] += 9
    images = images.to(torch.uint8)
    return DataSet(
        name="tiny",
        train_images=images[:300],
        train_labels=labels[:300],
        test_images=images[300:],
        test_labels=labels[300:],
        classes=3,
        full_scale=15,
    )


@pytest.fixture
def make_model() -> Callable[..., Mlp]:
    """A model with random weights, statistics and gains, as if trained: what export has to cope with."""

    def make(
        *,
        requantize: Requantize = Requantize.THRESHOLDS,
        sizes: tuple[int, ...] = (12, 9, 7, 4),
        input_width: int = 4,
        activation_width: int = 4,
        learned_step: bool = False,
        factor: float = 1.0,
        seed: int = 0,
    ) -> Mlp:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Mlp(
                sizes=sizes,
                input_quantizer=InputQuantizer(width=input_width, scale=0.37),
                activation_width=activation_width,
                requantize=requantize,
                quantizer=lambda shape: TernaryQuantizer(shape=shape, factor=factor),
                learned_step=learned_step,
            )
            model.train()
            for _ in range(5):  # running statistics
                model(torch.rand(64, sizes[0]) * 0.37 * 2**input_width)
            for name, parameter in model.named_parameters():
                if "normalize.weight" in name:
                    parameter.data.normal_(std=1.0)  # negative gains too
                elif "bias" in name or "offset" in name:
                    parameter.data.normal_(std=0.5)
                elif "step" in name:
                    parameter.data.mul_(1.13)
        return model.eval()

    return make
