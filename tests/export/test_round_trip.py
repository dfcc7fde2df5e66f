"""Weights from one toolbox to the next: each trains a step, in its own Runner, on what the one before it has trained."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from gaia_ssl.export import export_subnet, prepare_task
from tests import downstream_data, tiny

SIDE = 64
CLASSIFICATION, BOXES, MASKS = 'classification', 'coco-faster-rcnn', 'segmentation'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('round')
    data = {CLASSIFICATION: tiny.labelled_photos(root / 'classes', train=2, val=1), BOXES: downstream_data.coco(root / 'coco'),
            MASKS: downstream_data.masks(root / 'masks')}
    checkpoint = tiny.save_supernet(root / 'supernet.pth', stem_kernel=7)
    tasks = [prepare_task(task, str(place), small=True, report=lambda line: None) for task, place in data.items()]
    return export_subnet(str(checkpoint), tiny.SPACE.min, str(root / 'classes'), root / 'out', resolution=SIDE, tasks=tasks,
                         report=lambda line: None).parent


def train(folder, task: str, work_dir, init_cfg: dict) -> tuple[dict, dict]:
    """One iteration; the backbone's weights before it, and the file of those after it."""
    config = Config.fromfile(folder / f'{task}_small.py')
    config.merge_from_dict(dict(
        work_dir=str(work_dir), experiment_name=f'round_{task}', train_dataloader=dict(batch_size=2, num_workers=0,
                                                                                       persistent_workers=False),
        train_cfg=dict(by_epoch=False, max_iters=1, _delete_=True), param_scheduler=[], log_level='ERROR',
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False))))
    for name in ('val', 'test'):
        for part in ('dataloader', 'cfg', 'evaluator'):
            config.pop(f'{name}_{part}', None)
    config.model.backbone.init_cfg = init_cfg
    transforms = {each.type: each for each in config.train_dataloader.dataset.pipeline}
    if task == BOXES:
        transforms['Resize'].scale = (96, 96)
    if task == MASKS:
        config.model.data_preprocessor.size = transforms['RandomCrop'].crop_size = (SIDE, SIDE)
    DefaultScope._instance_dict.clear()
    runner = Runner.from_cfg(config)
    before = {}
    runner.register_hook(dict(type='RuntimeInfoHook'))
    runner.model.init_weights()
    before.update({name: value.clone() for name, value in runner.model.backbone.state_dict().items()})
    runner.train()
    return before, work_dir / 'iter_1.pth'


def test_from_toolbox_to_toolbox(folder, tmp_path):
    init_cfg = dict(type='Pretrained', checkpoint=str(folder / 'backbone.pth'))
    state = torch.load(folder / 'backbone.pth', weights_only=True)['state_dict']
    for number, task in enumerate((CLASSIFICATION, BOXES, MASKS, CLASSIFICATION)):
        before, path = train(folder, task, tmp_path / f'{number}', init_cfg)
        assert before.keys() == state.keys() and all(torch.equal(before[name], value) for name, value in state.items()), task
        trained = torch.load(path, weights_only=False)['state_dict']  # a file of mmengine's, written a moment ago
        state = {name.removeprefix('backbone.'): value for name, value in trained.items() if name.startswith('backbone.')}
        assert not torch.equal(state['layer4.0.conv1.weight'], before['layer4.0.conv1.weight']), task
        init_cfg = dict(type='Pretrained', checkpoint=path.as_uri(), prefix='backbone.')
