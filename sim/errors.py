"""What can go wrong when emitted Verilog is simulated."""

from __future__ import annotations

from sterna.net.errors import InvalidValueError, SternaError


class ManifestError(InvalidValueError):
    """An accelerator's JSON file is missing, unreadable or inconsistent; names the file and the field."""


class SimulationError(SternaError, RuntimeError):
    """The simulation did not end well: a build failed, the accelerator hung, broke the stream protocol or gave X."""


class MismatchError(SternaError, RuntimeError):
    """The emitted Verilog and the golden model differ.

    Parameters
    ----------
    message : :class:`str`
        One line that names the first difference.
    unit : :class:`str` or ``None``
        Unit that differs first, or ``None`` where no unit was traced to differ before the output.
    frame : :class:`int` or ``None``
        First frame in which it differs.
    index : tuple of :class:`int`
        Index of the first wrong value in the node's output (the channel first), in the network's own order.
    expected, got : :class:`int` or ``None``
        The golden model's value and the hardware's.
    """

    def __init__(
        self,
        message: str,
        *,
        unit: str | None = None,
        frame: int | None = None,
        index: tuple[int, ...] = (),
        expected: int | None = None,
        got: int | None = None,
    ) -> None:
        super().__init__(message)
        self.unit = unit
        self.frame = frame
        self.index = index
        self.expected = expected
        self.got = got
