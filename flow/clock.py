"""Clock and critical path, from the JSON reports of nextpnr."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sterna.flow.netlist import unit_of

__all__ = ["Clock", "CriticalPath", "clock_hz", "critical_path"]


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The clock that place and route reached, over several seeds.

    Attributes
    ----------
    by_seed : dict[int, float]
        Clock in Hz by nextpnr's seed.
    """

    by_seed: Mapping[int, float]

    @property
    def median_hz(self) -> float:
        return statistics.median(self.by_seed.values())

    @property
    def min_hz(self) -> float:
        return min(self.by_seed.values())

    @property
    def max_hz(self) -> float:
        return max(self.by_seed.values())

    @property
    def median_seed(self) -> int:
        """The seed at the median (the lower one of two)."""
        hz = statistics.median_low(self.by_seed.values())
        return next(seed for seed, value in self.by_seed.items() if value == hz)

    def to_json(self) -> dict[str, Any]:
        return {
            "median_hz": round(self.median_hz),
            "min_hz": round(self.min_hz),
            "max_hz": round(self.max_hz),
            "by_seed": {str(seed): round(hz) for seed, hz in self.by_seed.items()},
        }


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """The slowest path between two registers.

    Attributes
    ----------
    seed : int
        nextpnr's seed of the run that it is from.
    start, end : str
        Its first and last cell, named by instance and signal.
    components : list[str]
        The components that it runs through, in order, by their instance names.
    delay_ns, logic_ns, routing_ns : float
        Its delay, the share of cells (with clock-to-output and setup), and of wires.
    cells : int
        How many cells it passes.
    """

    seed: int
    start: str
    end: str
    components: Sequence[str]
    delay_ns: float
    logic_ns: float
    routing_ns: float
    cells: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def clock_hz(report: Mapping[str, Any]) -> float | None:
    """The clock of one nextpnr report, in Hz; the slowest where there are several, ``None`` where there is none."""
    achieved = [clock["achieved"] for clock in report["fmax"].values()]
    return min(achieved) * 1e6 if achieved else None


def critical_path(report: Mapping[str, Any], *, seed: int, units: Sequence[str]) -> CriticalPath | None:
    """The slowest register-to-register path of one nextpnr report, or ``None`` where there is none.

    ``units`` are the instances in the top module, by which components at their boundaries are named.
    """
    paths = [p["path"] for p in report["critical_paths"] if "<async>" not in (p["from"], p["to"]) and p["path"]]
    if not paths:
        return None
    path = max(paths, key=lambda segments: sum(s["delay"] for s in segments))
    components: list[str] = []
    for segment in path:
        cell = segment["to"]["cell"]
        # nextpnr's own cells (carry feeds, ...) have no component: they belong to the one before.
        if cell.startswith("$nextpnr"):
            continue
        component = cell.rpartition(".")[0] or unit_of(cell, units)
        if not components or components[-1] != component:
            components.append(component)
    routing = sum(s["delay"] for s in path if s["type"] == "routing")
    delay = sum(s["delay"] for s in path)
    return CriticalPath(
        seed=seed,
        start=path[0]["from"]["cell"],
        end=path[-1]["to"]["cell"],
        components=components,
        delay_ns=round(delay, 3),
        logic_ns=round(delay - routing, 3),
        routing_ns=round(routing, 3),
        cells=len({s["to"]["cell"] for s in path}),
    )
