"""mmcv's operators for an mmcv without compiled ones, computed by torchvision's kernels and torch.

``mmcv.ops`` imports the compiled module ``mmcv._ext``. Where there is none, :mod:`.finder`, which a ``.pth`` file registers
when Python starts, answers with :mod:`.extension`. A compiled ``mmcv._ext`` is found first and used untouched. This package
imports nothing of gaia_ssl, so that a detector's own training needs no more of it than this.
"""
