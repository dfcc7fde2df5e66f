"""A torch.export file as a teacher."""

from __future__ import annotations

import pathlib

import torch
from torch import Tensor, nn

from gaia_ssl.errors import UserError
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class ExportedProgram(nn.Module):
    """The network in a file of ``torch.export.save``.

    Reading such a file can run code that is in it: torch parses the expressions of its shapes as Python (``sympify``), and
    unpickles what it cannot read otherwise. So the file has to be trusted by a word.

    Args:
        checkpoint: The ``.pt2`` file. Its program takes images ``(N, 3, H, W)`` of any N.
        trusted: That the file comes from somebody whose code you would run.
        extra_tokens: Of a program that puts out tokens: how many come before the patches.

    Raises:
        UserError: If the file is not trusted, missing, or no such program.
    """

    def __init__(self, checkpoint: str, trusted: bool = False, extra_tokens: int = 1) -> None:
        super().__init__()
        path = pathlib.Path(checkpoint).expanduser()
        if not path.is_file():
            raise UserError(f'{checkpoint}: no such torch.export file')
        if not trusted:
            raise UserError(f'{checkpoint}: refused, because reading a torch.export file can run code that is in it; if you '
                            'trust where it comes from, set teacher.trusted=True')
        try:
            self.program = torch.export.load(path).module()
        except Exception as error:  # a damaged file, or one of another kind, fails in as many ways
            raise UserError(f'{checkpoint}: no torch.export file that torch {torch.__version__} can read '
                            f"({' '.join(str(error).split())[:200]})") from error
        self.num_extra_tokens = extra_tokens

    def train(self, mode: bool = True) -> ExportedProgram:
        """Nothing: the program is as it was exported, and refuses to be switched."""
        return self

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the program returns."""
        return self.program(images)
