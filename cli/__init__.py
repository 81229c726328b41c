"""The command line. Thin: each command imports the rooms that it needs when it runs."""

from sterna.cli.app import main

__all__ = ["main"]
