"""What runs inside the simulator under cocotb: drivers, monitors and judges of the ports, and the test benches."""
