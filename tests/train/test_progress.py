"""A run's progress on a terminal and elsewhere."""

from __future__ import annotations

import pytest
from rich.console import Console

from sterna.train.progress import EpochProgress

RECORD = {
    "stage": "retrain",
    "loss": 0.5,
    "zeros": 0.9,
    "index_entropy_bits": 12340.0,
    "lane_cycles": 5678,
    "validation_accuracy": 0.95,
}
LINE = "retrain: loss 0.5000, zeros 90.00 %, index 12.3 kbit, cycles 5,678, validation 95.00 %"


def test_plain_lines_without_a_terminal() -> None:
    console = Console(record=True, force_terminal=False, width=120)
    with EpochProgress(total=3, done=1, console=console, every_seconds=0) as progress:
        progress.show(RECORD)
        progress.show(RECORD)
    assert console.export_text().splitlines() == [f"epoch 2/3 {LINE}", f"epoch 3/3 {LINE}"]


def test_plain_lines_pause_but_never_leave_out_the_last() -> None:
    console = Console(record=True, force_terminal=False, width=120)
    with EpochProgress(total=50, console=console, every_seconds=1000) as progress:
        for _ in range(50):
            progress.show(RECORD)
    assert [line.split()[1] for line in console.export_text().splitlines()] == ["1/50", "50/50"]


def test_a_bar_on_a_terminal() -> None:
    console = Console(record=True, force_terminal=True, width=120)
    with EpochProgress(total=1, console=console) as progress:
        progress.show(RECORD)
    assert "1/1" in console.export_text()


def test_quiet_processes_show_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with EpochProgress(total=1, quiet=True, every_seconds=0) as progress:
        progress.show(RECORD)
    assert capfd.readouterr() == ("", "")
