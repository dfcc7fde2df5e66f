"""The leading part of a parameter."""

from torch import Tensor


def leading(tensor: Tensor, *sizes: int) -> Tensor:
    """``tensor[:sizes[0], :sizes[1], …]``; a dimension that is taken whole takes no view."""
    for dim, size in enumerate(sizes):
        if size != tensor.size(dim):
            tensor = tensor.narrow(dim, 0, size)
    return tensor
