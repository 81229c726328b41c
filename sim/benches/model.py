"""What an accelerator must send for a scenario, by the rules of its input port and the golden model's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sterna.sim.benches.source import Beat
from sterna.sim.scenarios import Early, Event, Late, Partial, Reset, Send


@dataclass
class Segment:
    """What belongs between two resets.

    Parameters
    ----------
    frames : list of :class:`int`
        Good frames, whose results leave in this order.
    errors : :class:`int`
        Frames with tlast in the wrong place.
    """

    frames: list[int] = field(default_factory=list)
    errors: int = 0


class ScenarioModel:
    """The beats of a scenario, and the results that it owes.

    Parameters
    ----------
    inputs, outputs : uint8, (frames, beats, bytes), lowest byte first
        The frames' beats, and those of the golden model's results.
    """

    def __init__(self, *, inputs: np.ndarray, outputs: np.ndarray) -> None:
        self._inputs = [[int.from_bytes(beat.tobytes(), "little") for beat in frame] for frame in inputs]
        self._outputs = [
            [Beat(int.from_bytes(beat.tobytes(), "little"), k == len(frame) - 1) for k, beat in enumerate(frame)]
            for frame in outputs
        ]

    def beats(self, event: Event) -> list[Beat]:
        """The beats that an event sends."""
        if isinstance(event, Send):
            data = self._inputs[event.frame]
            return [Beat(value, k == len(data) - 1) for k, value in enumerate(data)]
        if isinstance(event, Early):
            data = self._inputs[event.frame][: event.beats]
            return [Beat(value, k == len(data) - 1) for k, value in enumerate(data)]
        if isinstance(event, Late):
            data = self._inputs[event.frame]
            data = data + [data[k % len(data)] for k in range(event.extra)]
            return [Beat(value, k == len(data) - 1) for k, value in enumerate(data)]
        if isinstance(event, Partial):
            return [Beat(value, False) for value in self._inputs[event.frame][: event.beats]]
        return []

    def segments(self, scenario: Sequence[Event]) -> list[Segment]:
        """What is owed between resets; the last segment is owed in full."""
        segments = [Segment()]
        for event in scenario:
            if isinstance(event, Send):
                segments[-1].frames.append(event.frame)
            elif isinstance(event, (Early, Late)):
                segments[-1].errors += 1
            elif isinstance(event, Reset):
                segments.append(Segment())
        return segments

    def results(self, frame: int) -> list[Beat]:
        """The output beats of one good frame."""
        return self._outputs[frame]
