"""The scope ``gaia_ssl`` and its registries, children of mmengine's.

mmengine imports this module by itself when a config of any OpenMMLab toolbox names ``type='gaia_ssl.X'``, and each
registry imports its ``locations`` when it is first asked for a name. So no config needs ``custom_imports``.
"""

from mmengine import registry as mm
from mmengine.config.utils import MODULE2PACKAGE

# mmengine looks ``gaia_ssl::path/to/config.py`` up in this table.
MODULE2PACKAGE.setdefault('gaia_ssl', 'gaia_ssl')


def _child(name: str, parent: mm.Registry, location: str) -> mm.Registry:
    return mm.Registry(name, parent=parent, scope='gaia_ssl', locations=[location])


MODELS = _child('model', mm.MODELS, 'gaia_ssl.models')
MODEL_WRAPPERS = _child('model_wrapper', mm.MODEL_WRAPPERS, 'gaia_ssl.models')
DATASETS = _child('dataset', mm.DATASETS, 'gaia_ssl.datasets')
DATA_SAMPLERS = _child('data sampler', mm.DATA_SAMPLERS, 'gaia_ssl.datasets')
HOOKS = _child('hook', mm.HOOKS, 'gaia_ssl.engine')
LOOPS = _child('loop', mm.LOOPS, 'gaia_ssl.engine')
OPTIM_WRAPPERS = _child('optimizer_wrapper', mm.OPTIM_WRAPPERS, 'gaia_ssl.engine')
