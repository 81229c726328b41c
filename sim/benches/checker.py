"""Compares what left the accelerator with what was owed."""

from __future__ import annotations

from sterna.sim.benches.expect import expect
from sterna.sim.benches.model import ScenarioModel, Segment
from sterna.sim.benches.source import Beat


class Checker:
    """Takes beats and frame errors as they come, and fails at the first wrong one.

    Parameters
    ----------
    model : :class:`~sterna.sim.benches.model.ScenarioModel`
        Knows each frame's result.
    segments : list of :class:`~sterna.sim.benches.model.Segment`
        What is owed between resets.
    """

    def __init__(self, *, model: ScenarioModel, segments: list[Segment]) -> None:
        self._model = model
        self._segments = segments
        self._segment = 0
        self._beats = 0
        self._errors = 0
        self._owe()

    def settled(self, *, frames: int, errors: int) -> bool:
        """Whether the current segment's first so many good frames have left, and so many errors were seen."""
        owed = sum(len(self._model.results(frame)) for frame in self._segments[self._segment].frames[:frames])
        return self._beats >= owed and self._errors >= errors

    def beat(self, beat: Beat) -> None:
        """One transfer at the output."""
        place = f"output beat {self._beats} after {self._segment} resets"
        expect(self._beats < len(self._expected), f"{place}: {beat} is not owed to any frame")
        frame, expected = self._expected[self._beats]
        expect(beat == expected, f"{place}: frame {frame} owes {expected}, got {beat}")
        self._beats += 1

    def error(self) -> None:
        """``frame_error`` was high for a cycle."""
        self._errors += 1
        errors = self._segments[self._segment].errors
        expect(self._errors <= errors, f"frame_error {self._errors} times for {errors} bad frames")

    def reset(self) -> None:
        """What was not sent yet is not owed any more."""
        self._segment += 1
        self._owe()

    @property
    def state(self) -> str:
        """What was seen so far."""
        return f"{self._beats} of {len(self._expected)} output beats after {self._segment} resets"

    def finish(self) -> None:
        """Nothing may be owed at the end."""
        errors = self._segments[self._segment].errors
        missing = len(self._expected) - self._beats
        expect(missing == 0, f"{missing} output beats are missing at the end")
        expect(self._errors == errors, f"frame_error {self._errors} times for {errors} bad frames")

    def _owe(self) -> None:
        self._beats = self._errors = 0
        self._expected = [
            (frame, beat) for frame in self._segments[self._segment].frames for beat in self._model.results(frame)
        ]
