"""What units take up in a device, by prices of their parts that are fitted to synthesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from sterna.hw.fit.memories import MEMORIES
from sterna.hw.fit.prices import PRICES
from sterna.hw.units.protocol import Unit
from sterna.net.errors import InvalidValueError

#: Share of a device's logic that may be taken: the estimate is not exact, and a fuller device may not route.
MARGIN = 0.85
#: Estimated slots of the largest design that is proposed, however large the device is: about those of the largest one
#: that was routed (benchmarks/fit_route.py).
ROUTABLE_SLOTS = 36_000
#: Words of an SPRAM block, and bits of a word (iCE40 UltraPlus).
SPRAM_DEPTH, SPRAM_WIDTH = 1 << 14, 16


@dataclass(frozen=True, kw_only=True)
class Use:
    """What something takes up, about.

    Attributes
    ----------
    slots, flip_flops : float
        Flip-flops are 0 in a family that has one in each slot: its slots say it all.
    ram_blocks, spram_blocks : int
    """

    slots: float = 0
    flip_flops: float = 0
    ram_blocks: int = 0
    spram_blocks: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(Use)})


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a device holds.

    Parameters
    ----------
    device : str
        Its name, for messages.
    family : str
        ``"iCE40"`` or ``"ECP5"``.
    slots, flip_flops, ram_blocks, spram_blocks : int
        As nextpnr counts them. Words that are loaded go to large single-port RAM blocks (SPRAM) where there are some.
    margin : float
        Share of the slots, and of the flip-flops, that may be taken; of the slots, ``ROUTABLE_SLOTS`` at most.

    Raises
    ------
    ValueError
        If there are no prices for the family, or the margin is no share.
    """

    device: str
    family: str
    slots: int
    flip_flops: int
    ram_blocks: int
    spram_blocks: int = 0
    margin: float = MARGIN

    def __post_init__(self) -> None:
        if self.family not in PRICES:
            raise InvalidValueError(f"no resource model for {self.family}; there are {', '.join(PRICES)}")
        if not 0 < self.margin <= 1:
            raise InvalidValueError(f"margin must be above 0 and at most 1, not {self.margin}")

    @property
    def routable(self) -> float:
        """Slots that may be taken."""
        return min(self.margin * self.slots, ROUTABLE_SLOTS)

    def shares(self, use: Use) -> dict[str, float]:
        """Share of each resource that may be taken, by its name in messages."""
        shares = {
            "logic slots": use.slots / self.routable,
            "flip-flops": use.flip_flops / (self.margin * self.flip_flops),
            "RAM blocks": use.ram_blocks / self.ram_blocks,
        }
        return shares | ({"SPRAM blocks": use.spram_blocks / self.spram_blocks} if self.spram_blocks else {})

    def missing(self, use: Use) -> str:
        """What is exceeded, and by how much; empty if nothing is."""
        over = []
        for what, used, have, most in (
            ("logic slots", use.slots, self.slots, self.routable),
            ("flip-flops", use.flip_flops, self.flip_flops, self.margin * self.flip_flops),
        ):
            if used > most:
                over.append(f"about {used:,.0f} {what} ({most / have:.0%} of {have:,} can be routed)")
        if use.ram_blocks > self.ram_blocks:
            over.append(f"{use.ram_blocks:,} RAM blocks (of {self.ram_blocks:,})")
        if use.spram_blocks > self.spram_blocks:
            over.append(f"{use.spram_blocks:,} SPRAM blocks (of {self.spram_blocks:,})")
        return " and ".join(over)


def estimate(unit: Unit, family: str, *, spram: bool = False) -> Use:
    """What a unit takes up in a device of a family, one with SPRAM or one without.

    Raises
    ------
    ValueError
        If there are no prices for its parts.
    """
    parts = Counter(unit.logic)
    ram_blocks = spram_blocks = 0
    for memory in unit.memories:
        if spram and memory.image is not None and not memory.halved:
            spram_blocks += -(-memory.depth // SPRAM_DEPTH) * -(-memory.width // SPRAM_WIDTH)
            continue
        storage = MEMORIES[family].place(memory)
        ram_blocks += storage.ram_blocks
        parts += storage.parts
    prices = PRICES[family]
    if unknown := sorted(parts.keys() - prices["slots"].keys()):
        raise InvalidValueError(
            f"unit '{unit.name}' ({unit.describe()['kind']}) cannot be fitted to a device: there is no price for "
            f"{', '.join(unknown)}; leave --fit out, or make it folded"
        )
    return Use(
        **{what: sum(prices[what][part] * count for part, count in parts.items()) for what in prices},
        ram_blocks=ram_blocks,
        spram_blocks=spram_blocks,
    )


def estimate_all(units: Sequence[Unit], family: str) -> Use:
    """What all units take up."""
    return together(estimate(unit, family) for unit in units)


def together(uses: Iterable[Use]) -> Use:
    """All of them."""
    return sum(uses, start=Use())
