"""A pretrained ResNet as a teacher, whatever toolbox its checkpoint is of."""

from __future__ import annotations

from gaia_ssl.models.backbones import SubnetResNet
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class PretrainedResNet(SubnetResNet):
    """C2 to C5 of the ResNet of bottlenecks in a checkpoint, whose arch is read off its shapes.

    Args:
        checkpoint: As :func:`gaia_ssl.models.pretrained_checkpoint.read_pretrained` takes it.

    Raises:
        UserError: If it cannot be read or is no such network.
    """

    def __init__(self, checkpoint: str) -> None:
        pretrained = read_pretrained(checkpoint)
        super().__init__(pretrained.arch, stem_kernel=pretrained.stem_kernel)
        self.load_state_dict(pretrained.state_dict)
        self.eval()
