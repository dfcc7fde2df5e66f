"""What mmpretrain's data sets lack: unlabelled folders that survive bad files, seeded samples, and demo data."""

from .image_folder import ImageFolder
from .sampler import SeededSampler

__all__ = ['ImageFolder', 'SeededSampler']
