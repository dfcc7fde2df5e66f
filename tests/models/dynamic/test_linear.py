import torch
from torch.nn import functional as F

from gaia_ssl.models.dynamic import DynamicLinear


def test_input_chooses_the_columns():
    linear = DynamicLinear(8, 5)
    x = torch.randn(3, 6)
    torch.testing.assert_close(linear(x), x @ linear.weight[:, :6].T + linear.bias, rtol=0, atol=1e-6)
    assert torch.equal(linear(x), F.linear(x, linear.weight[:, :6], linear.bias))
    x = torch.randn(2, 3, 8)
    assert torch.equal(linear(x), F.linear(x, linear.weight, linear.bias))
