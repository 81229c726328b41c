"""How benches fail: with one line, and in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from cocotb.triggers import SimTimeoutError, with_timeout

CLOCK_NS = 10


def expect(condition: bool, message: str) -> None:
    """Fails the running test; unlike ``assert``, also where Python runs without assertions."""
    if not condition:
        raise AssertionError(message)


async def within(cycles: int, awaited: Awaitable[Any], state: Callable[[], str]) -> None:
    """Awaits something for at most so many clock cycles; else fails, and says in which state things are."""
    try:
        await with_timeout(awaited, CLOCK_NS * cycles, "ns")
    except SimTimeoutError:
        raise AssertionError(f"not done after {cycles} cycles: {state()}") from None
