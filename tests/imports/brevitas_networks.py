"""Small networks in Brevitas, untrained: random weights, and normalizations with gains of both signs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that Brevitas imports
    import brevitas.nn as qnn
    from brevitas.core.restrict_val import RestrictValueType
    from brevitas.core.scaling import ScalingImplType
    from brevitas.export import export_onnx_qcdq, export_qonnx
    from brevitas.inject.enum import QuantType
    from brevitas.quant import (
        Int8ActPerTensorFloat,
        Int8WeightPerTensorFloat,
        SignedBinaryActPerTensorConst,
        SignedBinaryWeightPerTensorConst,
        SignedTernaryActPerTensorConst,
        SignedTernaryWeightPerTensorConst,
        Uint8ActPerTensorFloat,
    )


class Ternary(SignedTernaryWeightPerTensorConst):
    """One scale that is no power of two."""

    scaling_const = 0.11
    threshold = 0.5


class TernaryThreshold(Ternary):
    """Brevitas' other kind of ternary weights, whose threshold the exporters do not write."""

    quant_type = QuantType.TERNARY
    threshold = 0.7


class TernaryPerChannel(Int8WeightPerTensorFloat):
    """Two bits, narrow, with a scale of its own for each channel, from the largest weight."""

    bit_width = 2
    narrow_range = True
    scaling_per_output_channel = True


class Activation(Uint8ActPerTensorFloat):
    """A fixed range, so that nothing is to be learned."""

    bit_width = 4
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    max_val = 3.1


class PowerOfTwo(Activation):
    """A scale that is a power of two."""

    max_val = 3.75


class Signed(Int8ActPerTensorFloat):
    """A signed activation of a fixed range; of 8 bits unless the layer says otherwise."""

    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    min_val = -1.0
    max_val = 1.0
    narrow_range = False


def randomized(model: nn.Module, seed: int) -> nn.Module:
    """Random weights and normalizations; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.data.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            uniform(module.weight, -1.2, 2.0)
            uniform(module.bias, -0.3, 1.2)
            assert module.running_mean is not None
            assert module.running_var is not None
            uniform(module.running_mean, -0.5, 0.5)
            uniform(module.running_var, 0.2, 1.5)
        elif isinstance(module, (nn.Linear, nn.Conv2d)):
            uniform(module.weight, -0.2, 0.2)
            if module.bias is not None:
                uniform(module.bias, -0.4, 0.4)
    return model.eval()


def dense(features: int, outputs: int, *, weights: type = Ternary, bias: bool = False) -> nn.Module:
    return qnn.QuantLinear(features, outputs, bias=bias, weight_quant=weights)


def convolved(channels: int, outputs: int, side: int = 3, *, weights: type = Ternary, **options: object) -> nn.Module:
    return qnn.QuantConv2d(channels, outputs, side, **{"bias": False, "weight_quant": weights, **options})


def relu(act: type = Activation, bits: int = 4) -> nn.Module:
    return qnn.QuantReLU(act_quant=act, bit_width=bits)


def signed(bits: int = 8, act: type = Signed) -> nn.Module:
    return qnn.QuantIdentity(act_quant=act, bit_width=bits)


def mlp() -> nn.Module:
    return nn.Sequential(
        signed(),
        dense(20, 24),
        nn.BatchNorm1d(24),
        relu(),
        dense(24, 16),
        nn.BatchNorm1d(16),
        relu(bits=2),
        dense(16, 5),
    )


def mlp_per_channel() -> nn.Module:
    return nn.Sequential(signed(4), dense(20, 24, weights=TernaryPerChannel), nn.BatchNorm1d(24), relu(), dense(24, 5))


def mlp_bias() -> nn.Module:
    return nn.Sequential(signed(), dense(20, 24, bias=True), relu(), dense(24, 16, bias=True), relu(), dense(16, 5))


def binary() -> nn.Module:
    act, weights = SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=act), dense(21, 24, weights=weights), nn.BatchNorm1d(24),
        qnn.QuantIdentity(act_quant=act), dense(24, 17, weights=weights), nn.BatchNorm1d(17),
        qnn.QuantIdentity(act_quant=act), dense(17, 5, weights=weights),
    )  # fmt: skip


def ternary_activations() -> nn.Module:
    act = SignedTernaryActPerTensorConst
    return nn.Sequential(
        signed(), dense(20, 24), nn.BatchNorm1d(24), qnn.QuantIdentity(act_quant=act), dense(24, 16),
        nn.BatchNorm1d(16), qnn.QuantIdentity(act_quant=act), dense(16, 5),
    )  # fmt: skip


def last_norm() -> nn.Module:
    return nn.Sequential(signed(), dense(20, 24), nn.BatchNorm1d(24), relu(), dense(24, 5), nn.BatchNorm1d(5))


def cnn() -> nn.Module:
    return nn.Sequential(
        signed(), convolved(2, 6, padding=1), nn.BatchNorm2d(6), relu(), nn.MaxPool2d(2),
        convolved(6, 8, stride=2, padding=1), nn.BatchNorm2d(8), relu(), nn.Flatten(), dense(8 * 4, 5),
    )  # fmt: skip


def cnn_forms() -> nn.Module:
    """A pool before the normalization and its quantizer, groups, dilation, and a bias."""
    return nn.Sequential(
        signed(), convolved(2, 6, bias=True, padding=2, dilation=2), nn.ReLU(), nn.MaxPool2d(2), relu(),
        convolved(6, 6, groups=3), nn.BatchNorm2d(6), relu(bits=2), nn.Flatten(), dense(6 * 4, 5),
    )  # fmt: skip


def cnn_binary() -> nn.Module:
    act, weights = SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
    return nn.Sequential(
        signed(), convolved(2, 6, weights=weights), nn.BatchNorm2d(6), qnn.QuantIdentity(act_quant=act),
        convolved(6, 6, weights=weights, padding=1), nn.BatchNorm2d(6), qnn.QuantIdentity(act_quant=act),
        nn.MaxPool2d(2), convolved(6, 7, weights=weights), nn.BatchNorm2d(7), qnn.QuantIdentity(act_quant=act),
        nn.Flatten(), dense(7, 5, weights=weights),
    )  # fmt: skip


class Residual(nn.Module):
    """One block whose branches share a quantizer, an average over the map, and a dense layer."""

    def __init__(self, *, average: nn.Module, act: type = Activation) -> None:
        super().__init__()
        self.first = nn.Sequential(signed(), convolved(2, 6, padding=1), nn.BatchNorm2d(6))
        self.branch = nn.Sequential(convolved(6, 6, padding=1), nn.BatchNorm2d(6))
        self.act, self.shared = relu(act), relu(act)
        self.joined = relu(act)
        self.average = average
        self.last = nn.Sequential(relu(bits=4), nn.Flatten(), dense(6 * 4, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        x = self.joined(x + self.shared(self.branch(x)))
        return self.last(self.average(x))


def residual() -> nn.Module:
    return Residual(average=nn.AvgPool2d(4))


def residual_power_of_two() -> nn.Module:
    return Residual(average=nn.AvgPool2d(4), act=PowerOfTwo)


def global_average() -> nn.Module:
    return nn.Sequential(
        signed(), convolved(2, 6, padding=1), nn.BatchNorm2d(6), relu(), nn.AdaptiveAvgPool2d(1), relu(bits=8),
        nn.Flatten(), dense(6, 5),
    )  # fmt: skip


#: Each network, and the shape of its input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (20,)),
    "mlp_per_channel": (mlp_per_channel, (20,)),
    "mlp_bias": (mlp_bias, (20,)),
    "binary": (binary, (21,)),
    "ternary_activations": (ternary_activations, (20,)),
    "last_norm": (last_norm, (20,)),
    "cnn": (cnn, (2, 8, 8)),
    "cnn_forms": (cnn_forms, (2, 8, 8)),
    "cnn_binary": (cnn_binary, (2, 8, 8)),
    "residual": (residual, (2, 8, 8)),
    "residual_power_of_two": (residual_power_of_two, (2, 8, 8)),
    "global_average": (global_average, (2, 8, 8)),
}


def build(name: str, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A network and an example input of its shape."""
    torch.manual_seed(seed)
    make, shape = NETWORKS[name]
    model = randomized(make(), seed)
    return model, torch.rand((1, *shape))


def export(model: nn.Module, example: Tensor, path: Path, form: str) -> Path:
    """The ONNX file of a network: ``form`` is ``qonnx``, ``qonnx-dynamo`` or ``qcdq``."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    options: dict[str, object] = {"args": example, "export_path": str(path), "dynamo": False}
    if form.endswith("dynamo"):
        options |= {"dynamo": True, "optimize": True}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model(example)
        (export_onnx_qcdq if form == "qcdq" else export_qonnx)(model, **options)
    return path


def inputs(shape: tuple[int, ...], count: int, seed: int = 0) -> np.ndarray:
    """Random reals, float32."""
    return np.random.default_rng(seed).uniform(-1.1, 1.1, (count, *shape)).astype(np.float32)
