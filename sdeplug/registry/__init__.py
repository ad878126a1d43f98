"""Everything that has a name:
hook specifications, discovery, loading, names, plain data, the scaffold of a plugin.

The names of this room are in ``__init__.pyi``; its files are opened when asked for, so that the
shell can complete a name without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
