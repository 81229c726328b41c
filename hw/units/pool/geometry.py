"""Which beats a pooling window takes."""

from __future__ import annotations

from dataclasses import dataclass

from sterna.hw.graph.stream import StreamType


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows that do not overlap, over a stream.

    A beat holds several whole windows, or a window spans several beats.

    Attributes
    ----------
    stream : StreamType
        What comes in.
    kernel, stride : (vertical, horizontal)
        ``stride`` is at least ``kernel``.
    """

    stream: StreamType
    kernel: tuple[int, int]
    stride: tuple[int, int]

    @property
    def rows(self) -> int:
        """Rows of the output map."""
        return (self.stream.shape[1] - self.kernel[0]) // self.stride[0] + 1

    @property
    def columns(self) -> int:
        """Columns of the output map."""
        return (self.stream.shape[2] - self.kernel[1]) // self.stride[1] + 1

    @property
    def fit(self) -> bool:
        """Whether beats and windows go into each other."""
        elements, stride = self.stream.elements, self.stride[1]
        return elements % stride == 0 or stride % elements == 0

    @property
    def elements(self) -> int:
        """Results in a beat."""
        return max(self.stream.elements // self.stride[1], 1)

    @property
    def span(self) -> int:
        """Input beats from a window's first to the next window's first."""
        return max(self.stride[1] // self.stream.elements, 1)

    @property
    def beats(self) -> int:
        """Output beats of a row of a channel."""
        return -(-self.columns // self.elements)

    @property
    def input_beats(self) -> int:
        """Input beats of a row of a channel."""
        return -(-self.stream.run // self.stream.elements)

    def completes(self, beat: int) -> bool:
        """Whether an input beat of a row completes an output beat."""
        needed = -(-self.kernel[1] // self.stream.elements)  # of a window's beats, where it spans several
        window, inside = divmod(beat, self.span)
        return inside == min(needed, self.span) - 1 and window < self.beats

    def part(self, inside: int) -> int:
        """Elements of a window's beat, ``inside`` beats behind its first, that lie in the window."""
        return min(max(self.kernel[1] - inside * self.stream.elements, 0), self.stream.elements)

    def taken(self, row: int) -> bool:
        """Whether an input row lies in a window."""
        return row % self.stride[0] < self.kernel[0] and row // self.stride[0] < self.rows

    def gives(self, row: int) -> bool:
        """Whether an input row completes an output row."""
        return self.taken(row) and row % self.stride[0] == self.kernel[0] - 1
