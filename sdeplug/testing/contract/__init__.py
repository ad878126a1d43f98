"""Tier 0: what goes into one call of a solver, and what comes out of it."""
