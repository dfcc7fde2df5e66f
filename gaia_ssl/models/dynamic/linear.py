"""Linear layer that takes however many features it is given."""

from torch import Tensor, nn
from torch.nn import functional as F

from gaia_ssl.models.dynamic.slicing import leading


class DynamicLinear(nn.Linear):
    """``nn.Linear`` whose input ``(…, c)`` uses the first ``c`` columns of the weight; the output is always whole."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, leading(self.weight, self.out_features, x.size(-1)), self.bias)
