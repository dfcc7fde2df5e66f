"""The scope ``gaia_ssl`` and its registries, children of mmengine's.

mmengine imports this module by itself when a config of any OpenMMLab toolbox names ``type='gaia_ssl.X'``, and each
registry imports its ``locations`` when it is asked for a name. So no config needs ``custom_imports``.
"""

from importlib import import_module

from mmengine import registry as mm
from mmengine.config.utils import MODULE2PACKAGE

from mmcv_torchvision_ops import finder

finder.register()  # where its .pth file was not read, in a folder on PYTHONPATH

# mmengine looks ``gaia_ssl::path/to/config.py`` up in this table.
MODULE2PACKAGE.setdefault('gaia_ssl', 'gaia_ssl')


class _Registry(mm.Registry):
    """Imports its locations one by one, until one has registered what is asked for.

    So a detector's backbone does not bring the pre-training with it, nor mmpretrain.
    """

    def get(self, key: str) -> type | None:
        name = key.rpartition('.')[2]
        for location in self._locations:
            if name in self.module_dict:
                break
            import_module(location)
        return super().get(key)

    def import_from_location(self) -> None:
        """Nothing: :meth:`get` imports what is needed."""


def _child(name: str, parent: mm.Registry, *locations: str) -> mm.Registry:
    return _Registry(name, parent=parent, scope='gaia_ssl', locations=list(locations))


MODELS = _child('model', mm.MODELS, 'gaia_ssl.models.backbones', 'gaia_ssl.models.heads', 'gaia_ssl.models.teachers',
                'gaia_ssl.models.algorithms')
MODEL_WRAPPERS = _child('model_wrapper', mm.MODEL_WRAPPERS, 'gaia_ssl.models.algorithms')
DATASETS = _child('dataset', mm.DATASETS, 'gaia_ssl.datasets')
TRANSFORMS = _child('transform', mm.TRANSFORMS, 'gaia_ssl.datasets.map_label', 'gaia_ssl.datasets.load_channels',
                    'gaia_ssl.datasets.channel_transforms')
DATA_SAMPLERS = _child('data sampler', mm.DATA_SAMPLERS, 'gaia_ssl.datasets')
HOOKS = _child('hook', mm.HOOKS, 'gaia_ssl.engine')
LOOPS = _child('loop', mm.LOOPS, 'gaia_ssl.engine')
OPTIM_WRAPPERS = _child('optimizer_wrapper', mm.OPTIM_WRAPPERS, 'gaia_ssl.engine')
