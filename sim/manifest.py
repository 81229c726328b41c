"""What an accelerator's JSON file says about its Verilog: ports, streams, units and timing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any, cast

from sterna.net.errors import InvalidValueError
from sterna.sim.errors import ManifestError

_KIND = "sterna-accelerator"
_VERSION = 3
SCHEMA = f"{_KIND}-{_VERSION}"


@dataclass(frozen=True, kw_only=True)
class StreamPort:
    """One AXI4-Stream port: how a frame's elements lie in its beats.

    Parameters
    ----------
    prefix : :class:`str`
        Ports are named ``{prefix}_tdata``, ``_tvalid``, ``_tready`` and ``_tlast``.
    shape : tuple of :class:`int`
        Shape of a frame in the network's own order: (features,) or (channels, height, width).
    element_width, signed : :class:`int`, :class:`bool`
        Type of an element.
    bytes_per_element, elements_per_beat : :class:`int`
        An element is extended to whole bytes; element 0 of a beat lies in the low ones.
    beats : :class:`int`
        Beats of a frame.
    tdata_width : :class:`int`
        Bits of ``tdata``.
    argmax : :class:`bool`
        Whether the element is the index of the largest score.
    """

    prefix: str
    shape: tuple[int, ...]
    element_width: int
    signed: bool
    bytes_per_element: int
    elements_per_beat: int
    beats: int
    tdata_width: int
    argmax: bool = False

    @property
    def rows(self) -> int:
        """Runs of neighboring elements in a frame: feature maps run (H, C, W), a vector is one run."""
        return prod(self.shape[:-1]) if len(self.shape) == 3 else 1

    @property
    def beat_bytes(self) -> int:
        """Bytes of ``tdata``."""
        return self.bytes_per_element * self.elements_per_beat


@dataclass(frozen=True, kw_only=True)
class LoadPort:
    """The AXI4-Stream port that fills memories: before the first frame, or in place of what they hold.

    Parameters
    ----------
    prefix : :class:`str`
        As a :class:`StreamPort`'s.
    tdata_width : :class:`int`
        Bits of ``tdata``, whole bytes; the file's bytes follow each other from the low ones up.
    size : :class:`int`
        Bytes of a load.
    sha256 : :class:`str`
        Hash of ``NAME.load.bin``.
    keeps : :class:`bool`
        Without a load, the network of the Verilog answers; with one, the network before until the load is whole.
    """

    prefix: str
    tdata_width: int
    size: int
    sha256: str
    keeps: bool = False


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit of the pipeline, and where its output stream is found in simulation.

    Parameters
    ----------
    name, node : :class:`str`
        The unit, and the network's node whose output it sends.
    channel_order : tuple of :class:`int`
        Network's channel of the k-th channel that leaves the unit.
    constant_channels : mapping of :class:`int` to :class:`int`
        Channels that never leave, since their value is always the same.
    unused_channels : tuple of :class:`int`
        Channels that never leave, since nobody uses them.
    shape : tuple of :class:`int`
        Shape of the node's output: (channels,) or (channels, height, width).
    element_width, signed, elements_per_beat : :class:`int`, :class:`bool`, :class:`int`
        Type of the values in ``payload``, and how many it holds, value 0 in the low bits.
    by_pixel : :class:`bool`
        Maps leave pixel by pixel, all channels of each; else row by row.
    transfer, payload : tuple of :class:`str`
        Path of each signal below the top module: a value leaves in every cycle in which ``transfer`` is high.
    """

    name: str
    node: str
    channel_order: tuple[int, ...]
    constant_channels: Mapping[int, int]
    unused_channels: tuple[int, ...]
    shape: tuple[int, ...]
    element_width: int
    signed: bool
    elements_per_beat: int
    by_pixel: bool
    transfer: tuple[str, ...]
    payload: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The JSON file beside an accelerator's Verilog.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        The JSON file.
    name, network_digest : :class:`str`
        Top module, and digest of the network that it computes.
    clock, reset : :class:`str`
        Ports.
    input, output : :class:`StreamPort`
        Streams.
    units : tuple of :class:`Unit`
        In the order of the pipeline.
    latency_cycles : :class:`int`
        Computed: from the first input transfer of a frame to its last output transfer, the accelerator empty before.
    period_cycles, period_frames : :class:`int`
        Computed: in the steady state, output repeats after so many frames, so many cycles later.
    settled_frames : :class:`int`
        Frames before the steady state.
    largest_gap_cycles : :class:`int`
        Most cycles between the last output transfers of two successive frames, in the steady state.
    verilog_sha256 : :class:`str`
        Hash of the Verilog file.
    load_port : :class:`LoadPort` or ``None``
        Where words are loaded; ``None`` where none are.
    """

    path: Path
    name: str
    network_digest: str
    clock: str
    reset: str
    input: StreamPort
    output: StreamPort
    units: tuple[Unit, ...]
    latency_cycles: int
    period_cycles: int
    period_frames: int
    settled_frames: int
    largest_gap_cycles: int
    verilog_sha256: str
    load_port: LoadPort | None = None

    @property
    def verilog(self) -> Path:
        """The Verilog file."""
        return self.path.with_suffix(".v")

    @property
    def load_beats(self) -> int:
        """Beats of the load port."""
        return 0 if self.load_port is None else 8 * self.load_port.size // self.load_port.tdata_width

    @property
    def load_file(self) -> Path:
        """What :attr:`load_port` is given, where there is one."""
        return self.path.with_suffix(".load.bin")

    @property
    def interval(self) -> Fraction:
        """Computed: mean cycles between the last output transfers of successive frames, in the steady state."""
        return Fraction(self.period_cycles, self.period_frames)

    @property
    def interval_cycles(self) -> int | float:
        """:attr:`interval` as a number: whole where it is, else as near as a float comes."""
        return number(self.interval)

    def read_verilog(self) -> str:
        """The Verilog.

        Raises
        ------
        :exc:`~sterna.sim.errors.ManifestError`
            If it is not the one that the JSON file was written for.
        """
        content = self.verilog.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.verilog_sha256:
            raise ManifestError(
                f"{self.path}: {self.verilog.name} beside it is not the Verilog that it describes (verilog_sha256 "
                "differs), as after a `sterna generate` that was stopped; generate the Verilog again"
            )
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ManifestError(f"{self.verilog}: no UTF-8 text ({error}); generate the Verilog again") from None

    def read_load(self) -> bytes:
        """The bytes for the load port; none where there is none.

        Raises
        ------
        :exc:`~sterna.sim.errors.ManifestError`
            If the file is missing, or not the one that the JSON file was written for.
        """
        if self.load_port is None:
            return b""
        try:
            content = self.load_file.read_bytes()
        except FileNotFoundError:
            raise ManifestError(f"{self.load_file} is missing; generate the Verilog again") from None
        if hashlib.sha256(content).hexdigest() != self.load_port.sha256:
            raise ManifestError(
                f"{self.load_file}: not what {self.path.name} describes (load.sha256 differs); generate it again"
            )
        return content

    @classmethod
    def load(cls, directory: str | Path) -> Manifest:
        """Reads the one accelerator in a directory.

        Parameters
        ----------
        directory : path
            A directory with one ``NAME.json`` of this schema and ``NAME.v`` beside it; or that JSON file.

        Raises
        ------
        :exc:`ManifestError`
            If there is none, more than one, or if a field is missing or wrong.
        """
        path = _find(Path(directory))
        fields = _read(path)
        try:
            manifest = cls(
                path=path,
                name=fields["name"],
                network_digest=fields["network_digest"],
                clock=fields["clock"],
                reset=fields["reset"],
                input=_port(fields, "input"),
                output=_port(fields, "output"),
                units=tuple(_unit(unit) for unit in fields["units"]),
                verilog_sha256=str(fields["verilog_sha256"]),
                load_port=_load_port(fields["load"]) if "load" in fields else None,
                **_timing(fields["timing"]),
            )
        except KeyError as error:
            raise ManifestError(f"{path}: the field {error.args[0]!r} is missing; generate the Verilog again") from None
        except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise ManifestError(f"{path}: {error}; generate the Verilog again") from None
        if not manifest.verilog.is_file():
            raise ManifestError(f"{path}: {manifest.verilog.name} is missing beside it; generate the Verilog again")
        manifest.read_verilog()
        manifest.read_load()
        return manifest


def number(interval: Fraction) -> int | float:
    """An interval for printing and for JSON: whole where it is, else as near as a float comes."""
    return interval.numerator if interval.denominator == 1 else float(interval)


def _find(directory: Path) -> Path:
    if directory.is_file():
        return directory
    if not directory.is_dir():
        raise ManifestError(f"{directory}: no such directory; generate the Verilog first")
    schemas = {path: _read(path, strict=False).get("schema") for path in sorted(directory.glob("*.json"))}
    found = [path for path, schema in schemas.items() if schema == SCHEMA]
    if not found:
        # one of another version says more than that there is none
        found = [path for path, schema in schemas.items() if _version(schema) is not None]
    if not found:
        raise ManifestError(f"{directory}: no accelerator in it (no JSON file with schema {SCHEMA!r})")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ManifestError(f"{directory}: several accelerators in it ({names}); give the JSON file of one")
    return found[0]


def _read(path: Path, *, strict: bool = True) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if not strict:
            return {}
        raise ManifestError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(fields, dict):
        fields = {}
    if strict:
        _check_schema(path, fields.get("schema"))
    return cast("dict[str, Any]", fields)


def _check_schema(path: Path, schema: object) -> None:
    if schema == SCHEMA:
        return
    version = _version(schema)
    if version is None:
        raise ManifestError(f"{path}: the field 'schema' must be {SCHEMA!r}")
    age, remedy = ("an older", "") if version < _VERSION else ("a newer", "use that one, or ")
    raise ManifestError(f"{path}: made by {age} Sterna (schema {schema!r}); {remedy}generate the Verilog again")


def _version(schema: object) -> int | None:
    found = re.fullmatch(rf"{_KIND}-(\d{{1,9}})", schema) if isinstance(schema, str) else None
    return None if found is None else int(found[1])


def _timing(fields: Mapping[str, Any]) -> dict[str, int]:
    names = ("latency_cycles", "period_cycles", "period_frames", "settled_frames", "largest_gap_cycles")
    values = {name: fields[name] for name in names}
    for name, value in values.items():
        least = 0 if name == "settled_frames" else 1
        if type(value) is not int or value < least:
            raise InvalidValueError(f"the field 'timing.{name}' must be an integer of at least {least}, not {value!r}")
    interval = number(Fraction(values["period_cycles"], values["period_frames"]))
    if fields["interval_cycles"] != interval:
        raise InvalidValueError(
            f"the field 'timing.interval_cycles' must be {interval}, period_cycles / period_frames, "
            f"not {fields['interval_cycles']!r}"
        )
    return values


def _port(fields: Mapping[str, Any], name: str) -> StreamPort:
    values = fields[name]
    port = StreamPort(
        prefix=values["prefix"],
        shape=tuple(int(size) for size in values["shape"]),
        element_width=int(values["element_width"]),
        signed=bool(values["signed"]),
        bytes_per_element=int(values["bytes_per_element"]),
        elements_per_beat=int(values["elements_per_beat"]),
        beats=int(values["beats"]),
        tdata_width=int(values["tdata_width"]),
        argmax=bool(values.get("argmax", False)),
    )
    beats = port.rows * -(-(port.shape[-1] if port.shape else 1) // port.elements_per_beat)
    if port.beats != beats:
        raise InvalidValueError(
            f"the field '{name}.beats' must be {beats} for shape {list(port.shape)}, not {port.beats}"
        )
    if port.tdata_width != 8 * port.beat_bytes:
        raise InvalidValueError(f"the field '{name}.tdata_width' must be {8 * port.beat_bytes}, not {port.tdata_width}")
    if not 1 <= port.element_width <= 8 * port.bytes_per_element <= 64:
        raise InvalidValueError(
            f"the field '{name}.bytes_per_element' does not fit elements of {port.element_width} bits"
        )
    return port


def _load_port(values: Mapping[str, Any]) -> LoadPort:
    port = LoadPort(
        prefix=values["prefix"],
        tdata_width=int(values["tdata_width"]),
        size=int(values["bytes"]),
        sha256=str(values["sha256"]),
        keeps=bool(values.get("keeps", False)),
    )
    if port.tdata_width < 8 or port.tdata_width % 8 or 8 * port.size % port.tdata_width:
        raise InvalidValueError(
            f"the field 'load.tdata_width' must be whole bytes that divide {port.size}, not {port.tdata_width} bits"
        )
    words = sum(int(memory["words"]) * int(memory["bytes_per_word"]) for memory in values["memories"])
    if words != port.size:
        raise InvalidValueError(f"the field 'load.bytes' must be {words}, those of its memories, not {port.size}")
    return port


def _unit(values: Mapping[str, Any]) -> Unit:
    constants = {int(k): int(value) for k, value in values["constant_channels"].items()}
    unused = [int(channel) for channel in values["unused_channels"]]
    order = tuple(int(channel) for channel in values["channel_order"])
    output, trace = values["output"], values["trace"]
    known = {*order, *constants, *unused}
    shape = tuple(int(size) for size in output.get("shape", (1 + max(known),)))
    if len(known) != len(order) + len(constants) + len(unused) or known != set(range(shape[0])):
        raise InvalidValueError(
            f"the channels of unit {values['name']!r} must be in one list each, and all of them in one"
        )
    return Unit(
        name=values["name"],
        node=values["node"],
        channel_order=order,
        constant_channels=constants,
        unused_channels=tuple(unused),
        shape=shape,
        element_width=int(output["element_width"]),
        signed=bool(output["signed"]),
        elements_per_beat=int(output.get("elements_per_beat", 1)),
        by_pixel=bool(output.get("by_pixel", False)),
        transfer=_path(trace["transfer"]),
        payload=_path(trace["payload"]),
    )


def _path(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise InvalidValueError(f"the field 'trace' must give lists of names, not {value!r}")
    return tuple(parts)
