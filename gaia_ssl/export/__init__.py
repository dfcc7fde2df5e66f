"""Handing over: one subnet as a static backbone, verified, with configs that run downstream."""

from gaia_ssl.export.backbone_config import backbone_config
from gaia_ssl.export.extract import extract_subnet
from gaia_ssl.export.hand_over import export_subnet
from gaia_ssl.export.tasks import TASKS, prepare_task
from gaia_ssl.export.verify import verify_subnet

__all__ = ['TASKS', 'backbone_config', 'export_subnet', 'extract_subnet', 'prepare_task', 'verify_subnet']
