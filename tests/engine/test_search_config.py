"""A supernet of any method is searched without its config: the model that is built takes all the checkpoint's weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.search_config import config_of_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.supernet_meta import supernet_meta
from gaia_ssl.registry import MODELS
from tests import tiny


def build(config: Config):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(config.model)


@pytest.mark.parametrize('method', tiny.METHODS)
def test_the_model_follows_from_the_checkpoint(method, tmp_path):
    trained = Config.fromfile(tiny.write_config(tmp_path / 'tiny.py', tmp_path, method=method))
    trained.model.data_preprocessor.update(mean=[1., 2., 3.], std=[4., 5., 6.], to_rgb=False)
    model = build(trained)
    if hasattr(model, 'frozen_teacher'):
        model.frozen_teacher.load()
    meta = supernet_meta(model) | dict(resolution=48)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(gaia_ssl=meta)), tmp_path / 'supernet.pth')

    config = config_of_checkpoint(str(tmp_path / 'supernet.pth'), ['c5', 'z'])
    built = build(config)
    built.load_state_dict(load_checkpoint(tmp_path / 'supernet.pth')['state_dict'])  # strict
    found = supernet_meta(built)
    for each in (found, meta):
        each.pop('teacher', None)
    assert found == {name: value for name, value in meta.items() if name != 'resolution'}
    assert config.test_cfg.tasks == ['c5', 'z'] and config.test_cfg.resolution == 48 and 'group_edges' not in config.test_cfg
    assert config.test_dataloader.dataset.pipeline[2] == dict(type='CenterCrop', crop_size=48)


@pytest.mark.parametrize('task, data, batch', [('z', 'imagenette', 128), ('c5', 'VOC', 64), ('c4-c5', 'cityscapes', 64),
                                               ('c2-c5', 'coco', 64)])
def test_each_task_has_its_small_search(task, data, batch, tmp_path):
    """For a supernet of little cost; by its stem, without a note of how large its images were."""
    for stem_kernel, resolution in ((3, 32), (7, 224)):
        path = tiny.save_supernet(tmp_path / f'{stem_kernel}.pth', stem_kernel=stem_kernel)
        config = config_of_checkpoint(str(path), [task])
        assert data in config.test_dataloader.dataset.data_root and config.test_dataloader.num_workers == 1
        assert config.test_dataloader.batch_size == batch and config.test_cfg.resolution == resolution


def test_what_has_no_such_config(tmp_path):
    path = tiny.save_supernet(tmp_path / 'supernet.pth')
    with pytest.raises(UserError, match="'c3' is no task of a search; choose from z, c5"):
        config_of_checkpoint(str(path), ['c3'])
    checkpoint = load_checkpoint(path)
    for change, message in ((lambda: checkpoint['state_dict'].pop('neck.mlp.2.weight'), r"\('neck.mlp.2.weight' is missing\)"),
                            (lambda: checkpoint['meta']['gaia_ssl'].update(method='Mine'), 'of a Mine, which no config')):
        change()
        torch.save(checkpoint, path)
        with pytest.raises(UserError, match=f'{message}.*give the CONFIG of its search'):
            config_of_checkpoint(str(path), ['z'])
