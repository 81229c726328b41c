"""``python -m sterna.cli``."""

from sterna.cli import main

main()
