"""Latency and interval as simulation shows them, and where they are not what NAME.json says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sterna.sim.manifest import Manifest, number

MEASURED_FRAMES = 64  # an interval is the mean of at least so many


def frames_needed(manifest: Manifest) -> int:
    """How many frames a simulation must run, so that the interval can be measured.

    The settled ones, whole periods of at least :data:`MEASURED_FRAMES` together, and the frame that ends the last one.
    """
    periods = -(-MEASURED_FRAMES // manifest.period_frames)
    return manifest.settled_frames + periods * manifest.period_frames + 1


@dataclass(frozen=True, kw_only=True)
class MeasuredTiming:
    """What a simulation without stalls shows of an accelerator's timing.

    Parameters
    ----------
    latency_cycles : :class:`int` or ``None``
        From the first input transfer to the last output transfer of the first frame; ``None`` after stalls.
    interval : :class:`~fractions.Fraction` or ``None``
        Mean cycles between the last output transfers of successive frames: over whole periods after the settled frames,
        at least :data:`MEASURED_FRAMES` frames; ``None`` with fewer (:func:`frames_needed`) or after stalls.
    largest_gap_cycles : :class:`int` or ``None``
        Most cycles between two of them, after the settled frames; ``None`` where the interval is.
    broken_period : tuple of :class:`int` or ``None``
        The first frame after the settled ones, and the cycles to the frame a period later, where those are not
        the computed ones.
    """

    latency_cycles: int | None = None
    interval: Fraction | None = None
    largest_gap_cycles: int | None = None
    broken_period: tuple[int, int] | None = None

    @classmethod
    def of(cls, manifest: Manifest, *, starts: Sequence[int], ends: Sequence[int]) -> MeasuredTiming:
        """Measures.

        Nothing is taken from the computed timing but where to measure: how many frames settle and make a period.
        Every frame after the settled ones is looked at, even where they are too few for an interval.

        Parameters
        ----------
        manifest : :class:`~sterna.sim.manifest.Manifest`
            What was computed.
        starts, ends : integers, (frames,)
            Cycle of each frame's first input transfer and of its last output transfer; nobody stalled.
        """
        period = manifest.period_frames
        steady = [int(end) for end in ends[manifest.settled_frames :]]
        gaps = [later - end for end, later in itertools.pairwise(steady)]
        spans = [later - end for end, later in zip(steady, steady[period:], strict=False)]
        enough = len(ends) >= frames_needed(manifest)
        whole = len(gaps) // period * period
        return cls(
            latency_cycles=int(ends[0]) - int(starts[0]) if len(ends) else None,
            interval=Fraction(steady[whole] - steady[0], whole) if enough else None,
            largest_gap_cycles=max(gaps) if enough else None,
            broken_period=next(
                (
                    (frame, span)
                    for frame, span in enumerate(spans, manifest.settled_frames)
                    if span != manifest.period_cycles
                ),
                None,
            ),
        )

    @property
    def interval_cycles(self) -> int | float | None:
        """:attr:`interval` as a number: whole where it is, else as near as a float comes."""
        return None if self.interval is None else number(self.interval)

    def differences(self, manifest: Manifest) -> list[str]:
        """What is not as it was computed, one sentence each."""
        found = []
        for what, measured, computed in (
            ("the latency", self.latency_cycles, manifest.latency_cycles),
            ("the interval", self.interval, manifest.interval),
            ("the largest gap between frames", self.largest_gap_cycles, manifest.largest_gap_cycles),
        ):
            if measured not in (None, computed):
                found.append(f"{what} is {measured} cycles, but {computed} were computed")
        if self.broken_period is not None:
            frame, cycles = self.broken_period
            found.append(
                f"frame {frame + manifest.period_frames} ends {cycles} cycles after frame {frame}, "
                f"but {manifest.period_cycles} were computed"
            )
        return found
