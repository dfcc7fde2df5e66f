"""The supernet that a hook works on."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from gaia_ssl.engine.unwrap import unwrapped
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import Supernet


def supernet_of(runner: Runner, hook: Hook) -> Supernet:
    """The model that ``runner`` trains, without its wrapper.

    Raises:
        UserError: If it is no supernet.
    """
    model = unwrapped(runner.model)
    if not isinstance(model, Supernet):
        raise UserError(f'{type(hook).__name__} works on a supernet, and the model is a {type(model).__name__}')
    return model
