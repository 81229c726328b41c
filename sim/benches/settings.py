"""What a bench of the bare accelerator is asked to do: ``bench.json`` and the arrays beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from sterna.sim import streams
from sterna.sim.benches.model import ScenarioModel
from sterna.sim.manifest import Manifest
from sterna.sim.scenarios import Event, from_json


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a bench needs.

    Parameters
    ----------
    manifest : :class:`~sterna.sim.manifest.Manifest`
        The accelerator.
    inputs, outputs : uint8, (frames, beats, bytes), lowest byte first
        The frames' beats, and those of the golden model's results.
    scenario : list of events
        What happens.
    timeout_cycles : :class:`int`
        Bound of the whole test.
    loads : list of :class:`bytes`
        What the load port may be given.
    """

    manifest: Manifest
    inputs: np.ndarray
    outputs: np.ndarray
    scenario: list[Event]
    timeout_cycles: int
    loads: list[bytes]

    @classmethod
    def load(cls) -> Settings:
        """Reads the working folder."""
        fields = json.loads(Path("bench.json").read_text(encoding="utf-8"))
        manifest = Manifest.load(fields["manifest"])
        return cls(
            manifest=manifest,
            inputs=streams.pack(np.load("x.npy"), manifest.input),
            outputs=streams.pack(np.load("expected.npy"), manifest.output),
            scenario=from_json(fields["scenario"]),
            timeout_cycles=fields["timeout_cycles"],
            loads=[manifest.read_load(), *map(bytes.fromhex, fields["loads"])],
        )

    @property
    def model(self) -> ScenarioModel:
        """The model of the scenario."""
        return ScenarioModel(inputs=self.inputs, outputs=self.outputs)


def stall_bits(name: str) -> Iterator[bool]:
    """The stall pattern of that name, for ever; never stalled where none was given."""
    path = Path(f"{name}.npy")
    return cycle(np.load(path).tolist() if path.is_file() else [False])


def stalled(name: str) -> Callable[[], bool]:
    """The same as a function to call every cycle."""
    bits = stall_bits(name)
    return lambda: next(bits)
