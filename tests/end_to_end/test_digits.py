"""Level 5: a recipe becomes verified Verilog, through the command line, on real data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sterna.cli.app import run
from sterna.net.file import load
from sterna.sim.simulators import Simulator, available

ROOT = Path(__file__).parents[2]
SIMULATOR = Simulator.ICARUS.value if Simulator.ICARUS in available() else Simulator.VERILATOR.value


def short(recipe: str, tmp_path: Path) -> Path:
    """The recipe with fewer epochs: the way is tested, not the accuracy."""
    text = (ROOT / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8")
    for line in ("regularize_epochs = ", "retrain_epochs = "):
        before, _, rest = text.partition(line)
        text = before + line + "40\n" + rest.partition("\n")[2]
    path = tmp_path / f"{recipe}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "options", [(), ("--argmax", "--elements-per-beat", "4", "--lanes", "8,2,1")], ids=["", "argmax"]
)
def test_digits_from_recipe_to_verified_verilog(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sterna(*arguments: object) -> dict:
        status = run([*map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        result: dict = json.loads(captured.out)
        return result

    trained = sterna("train", short("digits-mlp", tmp_path), "-o", tmp_path / "run")
    model = Path(trained["model"])
    assert load(model).digest == trained["network_digest"]
    assert trained["test_accuracy"] > 0.8

    made = sterna("generate", model, "-o", tmp_path / "out", *options)
    assert made["network_digest"] == trained["network_digest"]

    simulated = sterna("simulate", tmp_path / "out", "--dataset", "digits", "--simulator", SIMULATOR)
    assert simulated["network_digest"] == trained["network_digest"]
    assert (simulated["frames"], simulated["equal"]) == (360, True)
    # Equal scores, so equal accuracy: not one image less.
    assert simulated["accuracy"] == trained["test_accuracy"]
    assert simulated["interval_cycles"] == made["timing"]["interval_cycles"]
    assert simulated["latency_cycles"] == made["timing"]["latency_cycles"]
