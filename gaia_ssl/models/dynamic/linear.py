"""Linear layer that takes however many features it is given."""

from torch import Tensor, nn
from torch.nn import functional as F

from gaia_ssl.models.dynamic.slicing import leading


class DynamicLinear(nn.Linear):
    """``nn.Linear`` whose input ``(…, c)`` uses the first ``c`` columns of the weight; the output is always whole."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, leading(self.weight, self.out_features, x.size(-1)), self.bias)


def make_linears_dynamic(module: nn.Module) -> nn.Module:
    """Turn every ``nn.Linear`` inside ``module`` into a :class:`DynamicLinear`, in place, keeping its parameters.

    So mmpretrain's necks take features of any width up to the one they were built for.
    """
    for child in module.modules():
        if type(child) is nn.Linear:
            child.__class__ = DynamicLinear
    return module
