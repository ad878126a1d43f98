"""Everything that has a name:
hook specifications, discovery, loading, names, plain data, the scaffold of a plugin."""

from sdeplug.registry.catalogue import Registry as Registry
from sdeplug.registry.catalogue import metric as metric
from sdeplug.registry.catalogue import registry as registry
from sdeplug.registry.catalogue import sde as sde
from sdeplug.registry.catalogue import solver as solver
from sdeplug.registry.catalogue import target as target
from sdeplug.registry.discovery import Entry as Entry
from sdeplug.registry.discovery import installed_version as installed_version
from sdeplug.registry.hookspecs import hookimpl as hookimpl
from sdeplug.registry.hookspecs import hookspec as hookspec
from sdeplug.registry.scaffold import write_plugin as write_plugin
from sdeplug.registry.spec import Spec as Spec
from sdeplug.registry.spec import from_spec as from_spec
from sdeplug.registry.spec import read_spec as read_spec
from sdeplug.registry.spec import to_spec as to_spec
from sdeplug.registry.spec import write_spec as write_spec
from sdeplug.registry.words import named as named
from sdeplug.registry.words import named_grid as named_grid
