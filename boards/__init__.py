"""From an accelerator to a board: clock, pins and bitstream; transport over a UART, and the host that talks to it."""
