"""Scenarios: what is accepted, and that they survive JSON."""

from __future__ import annotations

import json

import pytest

from sterna.sim.scenarios import (
    Drain,
    Early,
    Event,
    Late,
    Load,
    Partial,
    Reset,
    Send,
    Wait,
    from_json,
    to_json,
    validate,
)

GOOD: list[Event] = [
    Send(0),
    Early(1, 3),
    Late(2, 4),
    Wait(2),
    Partial(0, 1),
    Wait(1),
    Reset(3),
    Drain(),
    Load(beats=3),
]


def test_json() -> None:
    validate(GOOD, frames=3, beats=4)
    assert from_json(json.loads(json.dumps(to_json(GOOD)))) == GOOD


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ([Send(3)], "Send.frame=3.: there are only 3 frames"),
        ([Late(-1, 1)], "there are only 3 frames"),
        ([Early(0, 4)], "beats must be from 1 to 3"),
        ([Early(0, 0)], "beats must be from 1 to 3"),
        ([Late(0, 0)], "extra must be a positive integer"),
        ([Wait(0)], "cycles must be a positive integer"),
        ([Reset(0)], "cycles must be a positive integer"),
        ([Partial(0, 2), Send(1)], "a reset must follow"),
        ([Partial(0, 2), Wait(1)], "a reset must follow"),
    ],
)
def test_refused(scenario: list[Event], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate(scenario, frames=3, beats=4)
