"""Solvers and grids for your own network: what is wrong with it, and what suits it."""
