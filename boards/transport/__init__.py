"""The UART transport in hardware: receiver and transmitter, packets, buffers, and an accelerator between two pins."""
