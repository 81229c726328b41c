"""What a plan takes up in a device, and the lanes with which it fills one."""
