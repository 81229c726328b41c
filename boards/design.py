"""The accelerator of a board: how much of its device is left for it, and how fast a UART lets it be."""

from __future__ import annotations

from dataclasses import replace

from sterna.flow.devices import Device, Family
from sterna.hw import AcceleratorConfig, Budget, Fit, StreamType, fit_device, input_stream
from sterna.net import Network
from sterna.net.errors import InvalidValueError

__all__ = ["BUFFER_SLOTS", "budget_beside_transport", "fit_board", "line_rate", "sure_hz"]

#: Data packets that the transport's input buffer holds: as many as one RAM block does.
BUFFER_SLOTS = {Family.ICE40: 2, Family.ECP5: 8}
#: What transport, clock and reset take up, generously (benchmarks/bitstreams.py measures it); RAM blocks with it.
_TRANSPORT_SLOTS = {Family.ICE40: 800, Family.ECP5: 1000}
_TRANSPORT_FLIP_FLOPS = 600
_TRANSPORT_RAM_BLOCKS = 3
_BITS_OF_A_BYTE = 10  # on the line: start, eight, stop


def budget_beside_transport(device: Device) -> Budget:
    """What a device holds, less what the transport takes."""
    return Budget(
        device=f"{device.part} beside the transport",
        family=device.family.value,
        slots=device.slots - _TRANSPORT_SLOTS[device.family],
        flip_flops=device.flip_flops - _TRANSPORT_FLIP_FLOPS,
        ram_blocks=device.ram_blocks - _TRANSPORT_RAM_BLOCKS,
        spram_blocks=device.spram_blocks,
    )


def line_rate(stream: StreamType, baud: float) -> float:
    """Frames of an input stream a second that a UART brings at most: packets cost nothing, the line never rests."""
    frame_bytes = stream.beats * stream.elements * -(-stream.element.width // 8)
    return baud / (_BITS_OF_A_BYTE * frame_bytes)


def sure_hz(device: Device) -> float:
    """A clock that every design so far is faster than: a quarter of what place and route is asked for."""
    return device.target_hz / 4


def fit_board(network: Network, device: Device, *, baud: float, clock_hz: float, config: AcceleratorConfig) -> Fit:
    """Lanes for a board: enough for all that its UART brings, or if that does not fit, as many as do.

    More lanes would wait for the line, and make the clock slower.

    Parameters
    ----------
    network : Network
    device : Device
    baud : float
        Bits a second on the line.
    clock_hz : float
        A clock that the design is sure to reach.
    config : AcceleratorConfig
        Without lanes. With a rate of its own, the lanes are for that.

    Raises
    ------
    DeviceTooSmall
        If not even the design with the fewest lanes fits, or the one for a rate of its own.
    UnsupportedError, ValueError
        If there is no hardware for the network, or lanes are given.
    """
    budget = budget_beside_transport(device)
    if config.fps is not None or config.lanes is not None:
        return fit_device(network, budget, config)
    rate = line_rate(input_stream(network, config), baud)
    wanted = replace(config, fps=rate, clock_hz=clock_hz)
    try:
        return fit_device(network, budget, wanted)
    except InvalidValueError:  # it does not fit, or no number of lanes is so fast
        return fit_device(network, budget, config)
