from __future__ import annotations

import pytest

from sterna.boards.catalog import find_board, list_boards
from sterna.boards.pins import UartPins, board_pins
from sterna.flow.bitstream import constraints
from sterna.flow.devices import Family


def test_boards_that_must_be_there() -> None:
    names = {board.name for board in list_boards()}
    assert names >= {"icebreaker", "ulx3s-12f", "ulx3s-25f", "ulx3s-45f", "ulx3s-85f", "orangecrab-r0-2-25f"}
    assert names >= {"ecpix5-45f", "ecpix5-85f", "colorlight-5a75b-r7-0", "icesugar-pro", "ice40-hx8k-b-evn"}
    # iCE40HX1K, MachXO2, Artix: not supported.
    assert not names & {"icestick", "tinyfpga-ax1", "arty-a7", "nandland-go"}


def test_what_is_known_of_a_board() -> None:
    board = find_board("iCEBreaker")
    assert (board.device.name, board.device.package, board.device.option) == ("up5k", "sg48", "--up5k")
    assert (board.oscillator.name, board.oscillator.hz, board.oscillator.internal) == ("clk12", 12_000_000, False)
    assert board.uart == ("6", "9")
    small = find_board("ULX3S_12F")
    assert (small.device.part, small.device.option, small.device.package) == ("LFE5U-12F", "--12k", "CABGA381")
    assert (small.device.family, small.device.speed, small.oscillator.hz) == (Family.ECP5, 6, 25_000_000)
    assert find_board("versa-ecp5-5g").device.option == "--um5g-45k"
    assert find_board("orangecrab-r0-2-85f").uart is None
    upduino = find_board("upduino-v3")
    assert upduino.oscillator.internal
    assert [clock.name for clock in upduino.other_clocks] == ["clk12"]


def test_names_are_different_and_found() -> None:
    boards = list_boards()
    assert len({board.name for board in boards}) == len(boards)
    for board in boards:
        assert find_board(board.name.upper().replace("-", "_")) is board
        assert board.to_json()["part"] == board.device.part


def test_unknown_boards() -> None:
    with pytest.raises(ValueError, match=r"^unknown board 'icebraker'; `sterna boards` lists those that there are$"):
        find_board("icebraker")
    with pytest.raises(ValueError, match=r"^there are several boards 'ecpix5': choose one of ecpix5-45f, ecpix5-85f$"):
        find_board("ecpix5")


def test_pins_of_an_ice40_board() -> None:
    board = find_board("icebreaker")
    pins = board_pins(board, board.oscillator)
    assert pins.reset_high is None
    assert pins.clock_site == "35"
    assert constraints(Family.ICE40, pins.pins) == (
        "set_io clk 35\nset_frequency clk 12.000000\nset_io -pullup yes rx 6\nset_io -pullup yes tx 9\n"
    )


def test_pins_of_an_ecp5_board_with_a_button_and_a_pair() -> None:
    board = find_board("versa-ecp5")
    pins = board_pins(board, board.oscillator)
    assert pins.reset_high is False
    text = constraints(Family.ECP5, pins.pins)
    # Of the pair P3, P4, the buffer at P3 takes both.
    assert 'LOCATE COMP "clk" SITE "P3";\nIOBUF PORT "clk" IO_TYPE=LVDS;\n' in text
    assert 'FREQUENCY PORT "clk" 100.000000 MHZ;' in text
    assert 'LOCATE COMP "rst" SITE "T1";' in text


def test_pins_by_option() -> None:
    board = find_board("orangecrab-r0-2-25f")
    with pytest.raises(ValueError, match=r"^orangecrab-r0-2-25f has no UART: say at which pins .*--uart rx=A1,tx=B2"):
        board_pins(board, board.oscillator)
    pins = board_pins(board, board.oscillator, UartPins(rx="n17", tx="M18"))
    text = constraints(Family.ECP5, pins.pins)
    assert 'LOCATE COMP "rx" SITE "N17";\nIOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;' in text
    assert 'LOCATE COMP "tx" SITE "M18";\nIOBUF PORT "tx" IO_TYPE=LVCMOS33;' in text


def test_pins_of_a_connector() -> None:
    board = find_board("icebreaker")
    # PMOD1A: its first row is 4, 2, 47, 45.
    pins = board_pins(board, board.oscillator, UartPins(rx="pmod_0:1", tx="pmod_0:3"))
    assert {pin.port: pin.site for pin in pins.pins} == {"clk": "35", "rx": "4", "tx": "47"}
    with pytest.raises(
        ValueError, match=r"has no connector pin 'pmod_7:1'; its connectors are pmod_0, pmod_1, pmod_2$"
    ):
        board_pins(board, board.oscillator, UartPins(rx="pmod_7:1", tx="2"))


def test_two_ports_at_one_pin() -> None:
    board = find_board("icebreaker")
    pins = board_pins(board, board.oscillator, UartPins(rx="35", tx="9"))
    with pytest.raises(ValueError, match=r"^pin 35 is given to several ports \(clk, rx\); choose another"):
        constraints(Family.ICE40, pins.pins)
