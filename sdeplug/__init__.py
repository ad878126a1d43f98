"""Diffusion samplers as plugins on a generic SDE library.

A forward SDE and a score model make a reverse SDE; an integrator carries x ~ p_t to x' ~ p_s; a
corrector leaves p_t as it is; a pipeline is a list of legs, each an integrator and the time it
runs to.

The names and the rooms that they live in are listed in ``__init__.pyi``.  A room is opened when
one of its names is asked for, so that a command that needs no torch does not wait for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
