"""Where Yosys puts a memory: in block RAM, in memories made of tables, or in logic.

Yosys (``memory_libmap``) takes what its library prices lowest: each block has a price, a bit of logic too. These are
its rules for memories with one read port and, if they are written, one write port; a test compares them with Yosys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sterna.hw.units.protocol import MemoryUse

#: Yosys's price of a bit in logic: of a table, and of a memory that is written.
ROM_BIT, RAM_BIT = 1 / 16, 1.0
#: Its price of choosing between two bits, where a memory is deeper than a block.
CHOICE = 0.5


@dataclass(frozen=True)
class Storage:
    """Where a memory is: in so many RAM blocks, and in so many parts of the logic.

    What is read goes through two registers. A block has one of them, or both; elsewhere they are logic.
    """

    ram_blocks: int
    parts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One shape of a family's memories.

    A memory that is deeper is cut; the words of all cuts lie side by side in the blocks, as closely as their write
    enables allow.

    Attributes
    ----------
    depth, width : int
        Words, and bits of a word.
    enabled : int
        Bits that share a write enable.
    price : int
        Yosys's.
    """

    depth: int
    width: int
    enabled: int
    price: int

    def cuts(self, memory: MemoryUse) -> int:
        """Parts of a memory, none deeper than the block."""
        return -(-memory.depth // self.depth)

    def count(self, memory: MemoryUse) -> int:
        """Blocks that a memory takes."""
        if not memory.writable:
            return -(-self.cuts(memory) * memory.width // self.width)
        pieces = self.cuts(memory) * -(-memory.width // self.enabled)
        return -(-pieces // (self.width // self.enabled))

    def choices(self, memory: MemoryUse) -> int:
        """Choices between two bits behind the blocks."""
        return (self.cuts(memory) - 1) * memory.width

    def cost(self, memory: MemoryUse) -> float:
        """What Yosys thinks that a memory costs."""
        return self.count(memory) * self.price + CHOICE * self.choices(memory)


@dataclass(frozen=True, kw_only=True)
class MemoryRules:
    """A family's memories: blocks of RAM, and memories made of tables, for what is written."""

    blocks: tuple[Block, ...]
    tables: tuple[Block, ...] = ()

    def place(self, memory: MemoryUse) -> Storage:
        """Where Yosys puts a memory."""
        if memory.at_once:
            if not self.tables:
                return Storage(0, {"chosen bit": memory.bits})
            table = self.tables[0]
            return Storage(0, {"distributed": table.count(memory), "choice bit": table.choices(memory)})
        block = min(self.blocks, key=lambda block: block.cost(memory))
        cost = block.cost(memory)
        if memory.block:
            return self._in_blocks(block, memory)
        for table in self.tables if memory.writable else ():
            if table.cost(memory) < min(cost, memory.bits * RAM_BIT):
                parts = {"distributed": table.count(memory), "choice bit": table.choices(memory)}
                return Storage(0, {**parts, "read bit": memory.width})
        if memory.bits * (RAM_BIT if memory.writable else ROM_BIT) <= cost:
            return Storage(0, {"ram bit" if memory.writable else "rom bit": memory.bits, "read bit": memory.width})
        return self._in_blocks(block, memory)

    def _in_blocks(self, block: Block, memory: MemoryUse) -> Storage:
        return Storage(block.count(memory), {"choice bit": block.choices(memory), "block bit": memory.width})


#: By the family's name.
MEMORIES = {
    "iCE40": MemoryRules(
        blocks=(
            *(Block(depth=4096 // width, width=width, enabled=width, price=64) for width in (2, 4, 8)),
            Block(depth=256, width=16, enabled=1, price=64),
        )
    ),
    "ECP5": MemoryRules(
        blocks=tuple(
            Block(depth=16384 // (width - width // 9), width=width, enabled=min(width, 9), price=128)
            for width in (1, 2, 4, 9, 18, 36)
        ),
        tables=(Block(depth=16, width=4, enabled=4, price=4),),
    ),
}
