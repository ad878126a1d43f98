"""Everything that has a name:
hook specifications, discovery, loading, names, plain data, the scaffold of a plugin."""

from .above import names_above as names_above
from .aliases import Alias as Alias
from .aliases import plainly as plainly
from .building import grid as grid
from .building import metric as metric
from .building import sde as sde
from .building import solver as solver
from .building import target as target
from .catalogue import Registry as Registry
from .catalogue import registry as registry
from .discovery import Entry as Entry
from .discovery import did_you_mean as did_you_mean
from .discovery import installed_version as installed_version
from .hookspecs import HOOKSPEC_VERSION as HOOKSPEC_VERSION
from .hookspecs import hookimpl as hookimpl
from .hookspecs import hookspec as hookspec
from .remembered import Names as Names
from .remembered import recall as recall
from .remembered import remember as remember
from .scaffold import write_plugin as write_plugin
from .spec import Spec as Spec
from .spec import from_spec as from_spec
from .spec import read_spec as read_spec
from .spec import to_spec as to_spec
from .spec import write_spec as write_spec
from .words import all_names as all_names
from .words import named as named
from .words import named_grid as named_grid
from .words import split as split
from .words import told_of as told_of
