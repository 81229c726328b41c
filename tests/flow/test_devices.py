from __future__ import annotations

import json
from pathlib import Path

import pytest

from sterna.flow.devices import DEVICES, Device, Family, Resource, device_of_part, find_device
from sterna.flow.pack import BUDGETS
from sterna.flow.toolchain import Tool, run_tool


@pytest.mark.parametrize("name", ["25f", "25F", "ecp5-25f", "LFE5U-25F"])
def test_find_device_spellings(name: str) -> None:
    assert find_device(name) is DEVICES["25f"][0]


def test_find_device_speed() -> None:
    assert find_device("85f", speed=8).speed == 8
    assert str(find_device("85f")) == "LFE5U-85F speed 6"
    assert str(find_device("up5k")) == "iCE40UP5K"


def test_unknown_device() -> None:
    with pytest.raises(ValueError, match=r"^unknown device 'up6k'; choose one of up5k, hx8k, 25f, 45f, 85f$"):
        find_device("up6k")


def test_unknown_speed() -> None:
    with pytest.raises(ValueError, match=r"^25f has no speed grade 5; it is made in 6, 7, 8$"):
        find_device("25f", speed=5)
    with pytest.raises(ValueError, match=r"^hx8k has one speed grade only$"):
        find_device("hx8k", speed=6)


@pytest.mark.parametrize(
    ("part", "package", "speed", "option", "nextpnrs_package", "like"),
    [
        ("iCE40UP5K", "SG48", None, "--up5k", "sg48", "up5k"),
        ("iCE40HX4K", "TQ144", None, "--hx4k", "tq144", "hx8k"),
        ("iCE40LP8K", "CM81", None, "--lp8k", "cm81", "hx8k"),
        ("LFE5U-12F", "BG381", 6, "--12k", "CABGA381", "25f"),
        ("LFE5U-25F", "MG285", 8, "--25k", "CSFBGA285", "25f"),
        ("LFE5UM-45F", "BG381", 8, "--um-45k", "CABGA381", "45f"),
        ("LFE5UM5G-85F", "BG554", 8, "--um5g-85k", "CABGA554", "85f"),
    ],
)
def test_device_of_part(
    part: str, package: str, speed: int | None, option: str, nextpnrs_package: str, like: str
) -> None:
    device = device_of_part(part, package=package, speed=speed)
    assert (device.part, device.option, device.package, device.speed) == (part, option, nextpnrs_package, speed)
    assert device.budget == find_device(like).budget


@pytest.mark.parametrize("part", ["iCE40HX1K", "LCMXO2-7000HE", "LFE5U-65F", "XC7A35T", "UP5K"])
def test_unknown_part(part: str) -> None:
    with pytest.raises(ValueError, match=f"^Sterna does not place and route for {part}; it does for iCE40 UP5K, HX8K"):
        device_of_part(part, package="SG48")


@pytest.mark.parametrize("device", [grades[0] for grades in DEVICES.values()], ids=lambda device: device.name)
def test_budget_is_nextpnrs(device: Device, tmp_path: Path) -> None:
    ice40 = device.family is Family.ICE40
    # One flip-flop is the smallest design that both families pack.
    cell = {
        "hide_name": 0,
        "type": "SB_DFF" if ice40 else "TRELLIS_FF",
        "parameters": {},
        "attributes": {},
        "port_directions": {"C" if ice40 else "CLK": "input"},
        "connections": {"C" if ice40 else "CLK": [2]},
    }
    ports = {"clk": {"direction": "input", "bits": [2]}}
    module = {"attributes": {"top": "1"}, "ports": ports, "cells": {"ff": cell}, "netnames": {}}
    (tmp_path / "one.json").write_text(json.dumps({"modules": {"top": module}}))
    options = ["-q", "--json", "one.json", device.option, "--package", device.package]
    options += ["--pcf-allow-unconstrained"] if ice40 else ["--lpf-allow-unconstrained", "--speed", str(device.speed)]
    run_tool(
        Tool.NEXTPNR_ICE40 if ice40 else Tool.NEXTPNR_ECP5,
        [*options, "--pack-only", "--report", "report.json"],
        cwd=tmp_path,
        log="log",
    )
    utilization = json.loads((tmp_path / "report.json").read_text())["utilization"]
    for resource, name in BUDGETS[device.family].items():
        assert device.budget[resource] == utilization.get(name, {"available": 0})["available"], resource
    assert device.budget[Resource.FLIP_FLOPS] == device.slots
