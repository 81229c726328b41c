"""Makes the sample file of the present format version; those of older versions stay as they are.

``python tests/net/data/make_sample.py`` writes it beside this file: every node kind, both requantizations.
"""

from pathlib import Path

import numpy as np

from sterna.net import (
    FORMAT_VERSION,
    ActivationType,
    Add,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    ShiftRound,
    SumPool2d,
    Thresholds,
    save,
)


def network() -> Network:
    u4, s3 = ActivationType(4, False), ActivationType(3, True)
    rng = np.random.default_rng(1)

    def ternary(*shape: int) -> np.ndarray:
        return rng.integers(-1, 2, size=shape)

    def steps(channels: int) -> np.ndarray:
        return np.sort(rng.integers(-40, 40, size=(channels, 7)), axis=1)

    return Network(
        input_shape=(2, 6, 6),
        input_type=u4,
        input_scale=1 / 15,
        nodes=[
            Conv2d(
                name="stem", weights=ternary(4, 2, 3, 3), padding=1, requantize=Thresholds(output=s3, levels=steps(4))
            ),
            Conv2d(
                name="branch",
                weights=ternary(4, 2, 3, 3),
                stride=(1, 1),
                padding=(1, 1),
                groups=2,
                bias=[3, -3, 0, 1],
                requantize=ShiftRound(output=s3, bias=[1, 2, 3, -4], shift=[0, 1, 2, 3]),
            ),
            Add(
                name="join",
                shifts=(1, 0),
                inputs=("stem", "branch"),
                requantize=ShiftRound(output=u4, bias=9, shift=1),
            ),
            MaxPool2d(name="max", kernel=3, stride=2, padding=1),
            SumPool2d(name="mean", kernel=(2, 2), stride=1, requantize=Thresholds(output=s3, levels=steps(4) + 30)),
            Flatten(name="flat"),
            Linear(name="scores", weights=ternary(3, 16), bias=[5, 0, -5]),
        ],
        metadata={"recipe": "none", "seed": 1},
        input_range=(1, 14),
        input_gain=[0.5, 2.0],
        input_offset=0.1,
    )


if __name__ == "__main__":
    save(network(), Path(__file__).with_name(f"version_{FORMAT_VERSION}.safetensors"))
