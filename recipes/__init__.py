"""The recipes that Sterna comes with, one TOML file each: ``importlib.resources.files("sterna.recipes")``."""
