"""``--fit DEVICE``: lanes with which an accelerator is as fast as a device holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from sterna.cli.output import console, facts, share

if TYPE_CHECKING:
    from sterna.flow.devices import Device
    from sterna.hw import AcceleratorConfig, Budget, Fit

__all__ = ["budget_of", "fit_model", "show_fit"]


def fit_model(
    model: Path,
    device: Device,
    config: AcceleratorConfig,
    *,
    escape_price: int | None = None,
    kinds: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> Fit:
    """The design of a network file for a device; of several prices of escapes, unless one is given.

    With ``kinds``, of all kinds of units, too; ``progress`` is told which are tried.
    """
    from sterna.hw import fit_device, fit_kinds
    from sterna.hw.fit.search import ESCAPE_PRICES
    from sterna.net.file import load

    prices = ESCAPE_PRICES if escape_price is None else (escape_price,)
    network, budget = load(model), budget_of(device)
    if kinds:
        return fit_kinds(network, budget, config, escape_prices=prices, progress=progress)
    return fit_device(network, budget, config, escape_prices=prices)


def budget_of(device: Device) -> Budget:
    """What a device holds, as the search for lanes takes it."""
    from sterna.hw import Budget

    return Budget(
        device=device.name,
        family=device.family.value,
        slots=device.slots,
        flip_flops=device.flip_flops,
        ram_blocks=device.ram_blocks,
        spram_blocks=device.spram_blocks,
    )


def show_fit(fit: Fit) -> None:
    """Print the choice: layer by layer, and the whole beside what the device holds."""
    from sterna.hw.fit.table import rows

    table = Table(
        "layer",
        "kind",
        "adds",
        "lanes",
        "cycles",
        "utilization",
        "index kbit",
        "RAM blocks",
        "logic slots",
        "limited by",
    )
    for row in rows(fit):
        table.add_row(
            row.name,
            row.kind,
            f"{row.adds:,}" if row.lanes else "",
            str(row.lanes or ""),
            f"{row.cycles:,}",
            "" if row.utilization is None else share(row.utilization, 1),
            f"{row.index_bits / 1024:.1f}" if row.index_bits else "",
            str(row.ram_blocks),
            f"{row.slots:,}",
            row.limit,
        )
    use, budget = fit.use, fit.budget
    table.add_section()
    table.add_row("all", "", "", "", f"{fit.cycles:,}", "", "", str(use.ram_blocks), f"{use.slots:,.0f}", "")
    have = f"{budget.device} has {budget.ram_blocks:,} RAM blocks and {budget.slots:,} logic slots"
    taken = f"{budget.routable / budget.slots:.0%} of the logic may be taken"
    out = console()
    out.print(facts({"fitted to": f"{have}; {taken}", "kept from being faster by": fit.limit}))
    out.print(table)
