"""Devices that Sterna places and routes for, and what each of them holds."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace

from sterna.net.errors import InvalidValueError

__all__ = ["DEVICES", "Device", "Family", "Resource", "device_of_part", "find_device"]


class Family(enum.Enum):
    """A device family of the open flow; the value is the name people use."""

    ICE40 = "iCE40"
    ECP5 = "ECP5"


class Resource(enum.Enum):
    """A budget of a device; the value is the word for it in reports and errors."""

    SLOTS = "logic slots"
    FLIP_FLOPS = "flip-flops"
    RAM_BLOCKS = "RAM blocks"
    SPRAM_BLOCKS = "SPRAM blocks"
    DSPS = "DSP blocks"


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device in one speed grade and package.

    The budgets are those that nextpnr reports as available (a test compares them).

    Attributes
    ----------
    name, part : str
        The short name (``"up5k"``) and the vendor's.
    family : Family
    option : str
        nextpnr's option that selects it.
    package : str
        The package with the most pins that nextpnr knows for it; Sterna routes blocks, not boards.
    speed : int or None
        Speed grade; ``None`` where the part has only one.
    slots : int
        Places for one 4-input table: logic cells (iCE40), COMB (ECP5).
    flip_flops, ram_blocks, spram_blocks, dsps : int
        SPRAM: large blocks of RAM with one port, which no bitstream fills.
    ram_block_bits : int
        Bits in one block of RAM.
    target_hz : float
        Clock that place and route is asked for; above what a Sterna unit reaches, so that it keeps trying.
    """

    name: str
    part: str
    family: Family
    option: str
    package: str
    speed: int | None
    slots: int
    flip_flops: int
    ram_blocks: int
    spram_blocks: int
    dsps: int
    ram_block_bits: int
    target_hz: float

    @property
    def budget(self) -> dict[Resource, int]:
        """How much of each resource there is."""
        return {
            Resource.SLOTS: self.slots,
            Resource.FLIP_FLOPS: self.flip_flops,
            Resource.RAM_BLOCKS: self.ram_blocks,
            Resource.SPRAM_BLOCKS: self.spram_blocks,
            Resource.DSPS: self.dsps,
        }

    def __str__(self) -> str:
        return self.part if self.speed is None else f"{self.part} speed {self.speed}"


def _ice40(
    name: str, part: str, package: str, slots: int, rams: int, sprams: int, dsps: int, target_hz: float
) -> list[Device]:
    return [
        Device(
            name=name,
            part=part,
            family=Family.ICE40,
            option=f"--{name}",
            package=package,
            speed=None,
            slots=slots,
            flip_flops=slots,
            ram_blocks=rams,
            spram_blocks=sprams,
            dsps=dsps,
            ram_block_bits=4096,
            target_hz=target_hz,
        )
    ]


def _ecp5(name: str, option: str, slots: int, rams: int, dsps: int) -> list[Device]:
    return [
        Device(
            name=name,
            part=f"LFE5U-{name.upper()}",
            family=Family.ECP5,
            option=option,
            package="CABGA756" if name == "85f" else "CABGA381",
            speed=speed,
            slots=slots,
            flip_flops=slots,
            ram_blocks=rams,
            spram_blocks=0,
            dsps=dsps,
            ram_block_bits=18432,
            target_hz=250e6,
        )
        for speed in (6, 7, 8)
    ]


#: Every device by name, its speed grades from slow to fast.
DEVICES: dict[str, list[Device]] = {
    "up5k": _ice40("up5k", "iCE40UP5K", "sg48", 5280, 30, 4, 8, 100e6),
    "hx8k": _ice40("hx8k", "iCE40HX8K", "ct256", 7680, 32, 0, 0, 250e6),
    "25f": _ecp5("25f", "--25k", 24288, 56, 28),
    "45f": _ecp5("45f", "--45k", 43848, 108, 72),
    "85f": _ecp5("85f", "--85k", 83640, 208, 156),
}

_PREFIXES = ("ecp5-", "ice40-", "ice40", "lfe5u-")


def find_device(name: str, *, speed: int | None = None) -> Device:
    """The device called ``name`` (``"up5k"``, ``"25f"``, ``"ECP5-25F"``, ...), by default in its slowest speed grade.

    Raises
    ------
    ValueError
        If there is no such device, or it is not made in that speed grade.
    """
    key = name.lower()
    for prefix in _PREFIXES:
        if key not in DEVICES:
            key = key.removeprefix(prefix)
    if key not in DEVICES:
        raise InvalidValueError(f"unknown device {name!r}; choose one of {', '.join(DEVICES)}")
    grades = DEVICES[key]
    if speed is None:
        return grades[0]
    for device in grades:
        if device.speed == speed:
            return device
    made = ", ".join(str(device.speed) for device in grades if device.speed is not None)
    raise InvalidValueError(
        f"{key} has no speed grade {speed}; it is made in {made}" if made else f"{key} has one speed grade only"
    )


# Parts of the vendor's that are one of DEVICES on another die, package or speed: name and clock that is asked for.
_ICE40_PARTS = {
    "UP5K": ("up5k", 100e6),
    "HX8K": ("hx8k", 250e6),
    "HX4K": ("hx8k", 250e6),  # the same die: the open tools use all of it
    "LP8K": ("hx8k", 150e6),
}
_ECP5_PART = re.compile(r"LFE5(U|UM|UM5G)-(12|25|45|85)F")
_ECP5_PACKAGES = {"BG": "CABGA", "MG": "CSFBGA"}


def device_of_part(part: str, *, package: str, speed: int | None = None) -> Device:
    """The device of a vendor's part (``"iCE40UP5K"``, ``"LFE5UM5G-85F"``, ...) in its package, as boards carry it.

    It has the budgets of the device in :data:`DEVICES` that has the same die. An LFE5U-12F is a 25F of which the vendor
    promises half; the open tools use all of it.

    Parameters
    ----------
    part : str
    package : str
        As the vendor's part numbers have it: ``"SG48"``, ``"BG381"``, ...
    speed : int, optional
        Speed grade of an ECP5; by default the slowest.

    Raises
    ------
    ValueError
        If Sterna does not place and route for the part.
    """
    name = part.upper().removeprefix("ICE40")
    if part.upper().startswith("ICE40") and name in _ICE40_PARTS:
        base, target_hz = _ICE40_PARTS[name]
        option = f"--{name.lower()}"
        device = replace(find_device(base), part=f"iCE40{name}", option=option, target_hz=target_hz)
        return replace(device, package=package.lower())
    if found := _ECP5_PART.fullmatch(part.upper()):
        kind, size = found.groups()
        prefix = "" if kind == "U" else f"{kind.lower()}-"
        device = find_device("25f" if size == "12" else f"{size}f", speed=speed)
        die = size if size == "12" else device.option.removeprefix("--").removesuffix("k")
        balls = re.sub("^[A-Z]+", lambda letters: _ECP5_PACKAGES.get(letters[0], letters[0]), package.upper())
        return replace(device, part=part.upper(), option=f"--{prefix}{die}k", package=balls)
    raise InvalidValueError(
        f"Sterna does not place and route for {part}; it does for iCE40 {', '.join(_ICE40_PARTS)} and all ECP5"
    )
