"""Recipes of the committed networks, as package data: `sterna train NAME` finds them by their names."""
