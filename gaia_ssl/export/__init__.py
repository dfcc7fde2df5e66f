"""Handing over: one subnet as a static backbone, verified, with configs that run downstream."""

from gaia_ssl.export.backbone_config import backbone_config
from gaia_ssl.export.classification_config import fill_classifier
from gaia_ssl.export.downstream import downstream_config_path
from gaia_ssl.export.formats import parse_formats, write_formats
from gaia_ssl.export.hand_over import export_subnet
from gaia_ssl.export.read_subnet import read_subnet
from gaia_ssl.export.tasks import TASKS, prepare_task
from gaia_ssl.export.verify import verify_subnet

__all__ = [
    'TASKS', 'backbone_config', 'downstream_config_path', 'export_subnet', 'fill_classifier', 'parse_formats', 'prepare_task',
    'read_subnet', 'verify_subnet', 'write_formats'
]
