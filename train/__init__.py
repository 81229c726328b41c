"""Training: quantizers, methods, recipes, data sets, and an export that proves itself.

Imports torch, :mod:`sterna.net` and :mod:`sterna.sim.golden`; nothing else of Sterna.
"""
