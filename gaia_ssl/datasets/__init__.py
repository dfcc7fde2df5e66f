"""What mmpretrain's data sets lack: unlabelled folders that survive bad files, seeded samples, and demo data."""

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):  # it prints that it could not import a service
    import mmpretrain.datasets  # noqa: F401

from .image_folder import ImageFolder
from .sampler import SeededSampler

__all__ = ['ImageFolder', 'SeededSampler']
