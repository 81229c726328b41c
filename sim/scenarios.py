"""What may happen at an accelerator's input: good frames, tlast in the wrong place, pauses, resets.

A scenario is a sequence of these events. Frames are given by their index in the frames that the scenario runs with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sterna.net.errors import InvalidValueError


@dataclass(frozen=True)
class Send:
    """A good frame."""

    frame: int


@dataclass(frozen=True)
class Early:
    """A frame whose tlast comes with beat ``beats - 1``, too early: it is dropped."""

    frame: int
    beats: int


@dataclass(frozen=True)
class Late:
    """A frame without tlast in its place, followed by ``extra`` beats, the last of which has it: all are dropped."""

    frame: int
    extra: int = 1


@dataclass(frozen=True)
class Partial:
    """The first beats of a frame, without tlast; a :class:`Reset` must follow, perhaps after a :class:`Wait`."""

    frame: int
    beats: int


@dataclass(frozen=True)
class Reset:
    """The reset is held for some cycles; whatever is inside is lost."""

    cycles: int = 1


@dataclass(frozen=True)
class Wait:
    """The source offers nothing for some cycles."""

    cycles: int


@dataclass(frozen=True)
class Drain:
    """Waits until every result so far has left, and every bad frame so far was reported."""


@dataclass(frozen=True)
class Load:
    """Words are loaded, those of ``NAME.load.bin`` or others of their size; all frames so far must have left.

    With ``beats``, tlast comes after so many of them, too early or too late, and nothing is loaded.
    """

    words: int = 0
    beats: int | None = None


Event = Send | Early | Late | Partial | Reset | Wait | Drain | Load
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Send, Early, Late, Partial, Reset, Wait, Drain, Load)}


def validate(scenario: Sequence[Event], *, frames: int, beats: int) -> None:
    """Checks a scenario against the frames that it runs with.

    Raises
    ------
    :exc:`ValueError`
        If an event names a frame that is not there, has a wrong number of beats or cycles, or no reset follows a
        :class:`Partial`.
    """
    for position, event in enumerate(scenario):
        if isinstance(event, (Send, Early, Late, Partial)) and not 0 <= event.frame < frames:
            raise InvalidValueError(f"{event}: there are only {frames} frames")
        if isinstance(event, (Early, Partial)) and not 1 <= event.beats < beats:
            raise InvalidValueError(f"{event}: beats must be from 1 to {beats - 1}")
        if isinstance(event, Late) and event.extra < 1:
            raise InvalidValueError(f"{event}: extra must be a positive integer")
        if isinstance(event, (Reset, Wait)) and event.cycles < 1:
            raise InvalidValueError(f"{event}: cycles must be a positive integer")
        follower = next((later for later in scenario[position + 1 :] if not isinstance(later, Wait)), None)
        if isinstance(event, Partial) and not isinstance(follower, Reset):
            raise InvalidValueError(f"{event}: a reset must follow")


def to_json(scenario: Sequence[Event]) -> list[dict[str, Any]]:
    """The scenario as JSON values."""
    return [{"event": type(event).__name__, **asdict(event)} for event in scenario]


def from_json(events: Sequence[Mapping[str, Any]]) -> list[Event]:
    """The inverse of :func:`to_json`."""
    return [_KINDS[fields["event"]](**{k: v for k, v in fields.items() if k != "event"}) for fields in events]
