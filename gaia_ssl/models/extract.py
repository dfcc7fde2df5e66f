"""The weights of one subnet."""

from gaia_ssl.models.backbones import DynamicResNet, SubnetResNet
from gaia_ssl.space import Arch


def extract_subnet(supernet: DynamicResNet, arch: Arch) -> SubnetResNet:
    """A static network that holds the leading slices of the supernet's parameters and statistics.

    Args:
        supernet: The backbone at ``space.max``.
        arch: Not larger than that in any dimension.

    Raises:
        UserError: If the supernet has no weights for ``arch``.
    """
    supernet.space.check_fits(arch)
    subnet = SubnetResNet(arch, stem_kernel=supernet.stem_kernel, in_channels=supernet.in_channels)
    source = supernet.state_dict()
    state = {name: source[name][tuple(map(slice, value.shape))] for name, value in subnet.state_dict().items()}
    subnet.load_state_dict(state)
    return subnet.eval()
