"""Self-supervised training of the supernet: the sandwich step, and what each method adds to it."""

from gaia_ssl.models.algorithms.byol import SupernetBYOL
from gaia_ssl.models.algorithms.ddp import SandwichDistributedDataParallel
from gaia_ssl.models.algorithms.densecl import SupernetDenseCL
from gaia_ssl.models.algorithms.distill import SupernetDistill
from gaia_ssl.models.algorithms.moco import SupernetMoCo
from gaia_ssl.models.algorithms.ressl import SupernetReSSL
from gaia_ssl.models.algorithms.supernet import Supernet
from gaia_ssl.models.algorithms.view_preprocessor import ViewPreprocessor

__all__ = [
    'SandwichDistributedDataParallel', 'Supernet', 'SupernetBYOL', 'SupernetDenseCL', 'SupernetDistill', 'SupernetMoCo',
    'SupernetReSSL', 'ViewPreprocessor'
]
