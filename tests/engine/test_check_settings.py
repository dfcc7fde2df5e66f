import pytest
from mmengine.config import Config

from gaia_ssl.engine.check_settings import check_settings
from gaia_ssl.errors import UserError
from tests import tiny


@pytest.mark.parametrize('name', ['train', 'test'])
@pytest.mark.parametrize('key, value, least', [
    ('batch_size', 0, 1), ('batch_size', -8, 1), ('batch_size', 0.0, 1), ('batch_size', 1.5, 1), ('batch_size', '0', 1),
    ('batch_size', None, 1), ('batch_size', True, 1), ('num_workers', -1, 0), ('num_workers', 'two', 0)])
def test_batches_and_readers(name, key, value, least):
    with pytest.raises(UserError, match=rf'^{name}_dataloader.{key} is .*; give a whole number of {least} or more$'):
        check_settings(Config({f'{name}_dataloader': {key: value}}))


@pytest.mark.parametrize('kind, hint', [('Adm', 'did you mean Adam'), ('adamw', 'did you mean AdamW'), ('Qwrtz', 'e.g. SGD')])
def test_an_optimizer_that_there_is_not(kind, hint):
    with pytest.raises(UserError, match=f"optimizer.type is '{kind}', and there is no such optimizer; {hint}"):
        check_settings(Config(dict(default_scope='mmpretrain', optim_wrapper=dict(optimizer=dict(type=kind, lr=1)))))


@pytest.mark.parametrize('name', ['data/byol_r_supernet.py', 'data/mocov2_start.py', 'search/z_imagenet.py'])
def test_configs_of_ours(name):
    """LARS of mmpretrain, batches that the data decide, and a loader that then reads in the process itself."""
    config = Config.fromfile(tiny.ROOT / 'configs' / name)
    config.train_dataloader.num_workers = 0
    check_settings(config)
    assert config.train_dataloader.persistent_workers is False
