"""What tools/export.py writes, built by mmdet and mmseg: the weights and the features in it are the exported ones."""

import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import backbone_config
from gaia_ssl.export.tasks import TASKS, prepare_task
from gaia_ssl.models import SubnetResNet
from tests import downstream_data, tiny

NAMES = list(downstream_data.PAPER)
DILATED = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True)
TINY = Arch.parse('5-6x2-7x1-9x1-13x1')  # off the grid


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """The folder with the configs of all tasks."""
    return downstream_data.export(tmp_path_factory.mktemp('export')).parent


def build(model: dict, scope: str) -> nn.Module:
    """With its weights initialised, as the Runner does at the start of a training on one process."""
    __import__(f'{scope}.models')
    with DefaultScope.overwrite_default_scope(scope):
        built = revert_sync_batchnorm(MODELS.build(model))
        built.init_weights()
    return built


def build_from(path) -> nn.Module:
    config = Config.fromfile(path)
    return build(config.model, config.default_scope)


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'backbone.pth', weights_only=True)['state_dict']


def toolbox_resnet(state: dict[str, torch.Tensor], toolbox: str, **settings) -> nn.Module:
    """The toolbox's own ResNet with the exported weights; torchvision's key names are its, too."""
    models = pytest.importorskip(f'{toolbox}.models')
    net = models.ResNet(depth=50, base_channels=8, **({'stem_channels': 8} if toolbox == 'mmseg' else {}), **settings)
    net.load_state_dict(state, strict=True)
    net.eval()  # whose train() returns nothing
    return net


@pytest.mark.parametrize('task', NAMES)
def test_every_weight_is_the_exported_one(exported, task):
    model, state = build_from(exported / f'{task}.py'), weights(exported)
    parts = model.backbone.state_dict()
    if task == 'voc-faster-rcnn-c4':
        head = model.roi_head.shared_head.state_dict()
        assert not parts.keys() & head.keys()
        parts = {**parts, **{name: value for name, value in head.items() if not name.startswith('norm.')}}
    assert parts.keys() == state.keys()
    assert all(torch.equal(parts[name], value) for name, value in state.items())
    assert all(value.requires_grad for value in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize('task', NAMES)
def test_the_features_are_those_of_the_toolboxes_own_resnet(exported, task):
    model, images = build_from(exported / f'{task}.py').eval(), tiny.images(2, size=64)
    segments = task == 'cityscapes-fcn'
    reference = toolbox_resnet(weights(exported), 'mmseg' if segments else 'mmdet', **(DILATED if segments else {}))(images)
    features = model.backbone(images)
    if task == 'voc-faster-rcnn-c4':
        head = model.roi_head.shared_head
        features = (features[0], head.layer4(features[0]))
        torch.testing.assert_close(head(features[0]), features[1], rtol=1e-4, atol=1e-4)  # a further norm that starts neutral
        reference = reference[2:]
    for one, other in zip(features, reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize('task', NAMES)
def test_the_configs_are_whole_and_the_folder_can_be_moved(exported, task, tmp_path):
    text = (exported / f'{task}.py').read_text()
    assert not any(word in text for word in ('_base_', 'custom_imports', '::', str(exported)))
    moved = shutil.copytree(exported, tmp_path / 'elsewhere')
    assert Config.fromfile(moved / f'{task}.py').model.backbone.init_cfg.checkpoint == str(moved / 'backbone.pth')


@pytest.mark.parametrize('task', NAMES)
def test_a_backbone_of_another_arch_is_refused(exported, task, tmp_path):
    folder = shutil.copytree(exported, tmp_path / 'mixed')
    content = torch.load(folder / 'backbone.pth', weights_only=True)
    content['meta']['gaia_ssl']['arch'] = '8-8x3-16x4-32x6-64x2'
    torch.save(content, folder / 'backbone.pth')
    with pytest.raises(UserError, match='holds the backbone 8-8x3-16x4-32x6-64x2, but the config says') as info:
        build_from(folder / f'{task}.py')
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('task, key', [('coco-mask-rcnn', 'layer4.0.bn1.bias'), ('voc-faster-rcnn-c4', 'layer4.2.conv1.weight'),
                                       ('cityscapes-fcn', 'bn1.running_var')])
def test_a_missing_key_is_refused(exported, task, key, tmp_path):
    folder = shutil.copytree(exported, tmp_path / 'damaged')
    content = torch.load(folder / 'backbone.pth', weights_only=True)
    del content['state_dict'][key]
    torch.save(content, folder / 'backbone.pth')
    with pytest.raises(UserError, match=f"Missing key.*{key.removeprefix('layer4.')}"):
        build_from(folder / f'{task}.py')


@pytest.mark.parametrize('task', NAMES)
def test_a_backbone_for_small_images_is_refused(task, tmp_path):
    prepared = prepare_task(task, str(downstream_data.MAKERS[task](tmp_path)))
    meta = dict(arch=str(TINY), stem_kernel=3, mean=[0.0] * 3, std=[1.0] * 3, to_rgb=True)
    with pytest.raises(UserError, match='3x3 stem .* other strides than detectors and segmentors'):
        prepared.fill('backbone.pth', meta)


def test_safetensors_hold_the_same(exported):
    from safetensors import safe_open
    state = weights(exported)
    with safe_open(exported / 'backbone.safetensors', 'pt') as file:
        assert set(file.keys()) == set(state) and file.metadata()['arch'] == str(downstream_data.RESNET)
        assert all(torch.equal(file.get_tensor(name), value) for name, value in state.items())


def boxes_and_images(count: int = 2) -> dict:
    from mmdet.structures import DetDataSample
    samples = []
    for _ in range(count):
        sample = DetDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64), batch_input_shape=(64, 64),
                                             scale_factor=(1.0, 1.0), pad_shape=(64, 64)))
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[4., 4., 40., 44.], [20., 8., 60., 30.]]),
                                           labels=torch.tensor([0, 1]))
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        samples.append(sample)
    return dict(inputs=[torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(count)], data_samples=samples)


def labels_and_images(count: int = 2) -> dict:
    from mmseg.structures import SegDataSample
    samples = []
    for _ in range(count):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
        sample.gt_sem_seg = PixelData(data=torch.randint(19, (1, 64, 64)))
        samples.append(sample)
    return dict(inputs=[torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(count)], data_samples=samples)


def check_step(model: nn.Module, data: dict) -> None:
    """One optimizer step: a finite loss, and every part of the backbone has learnt."""
    before = {name: value.clone() for name, value in model.backbone.named_parameters()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    losses = model.train().train_step(data, optimizer)
    assert torch.isfinite(losses['loss']) and losses['loss'] > 0
    changed = {name.split('.')[0] for name, value in model.backbone.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {name.split('.')[0] for name in before}


@pytest.mark.parametrize('task', ['voc-faster-rcnn-c4', 'cityscapes-fcn'])
def test_any_width_and_depth_trains(task, tmp_path):
    path = downstream_data.export(tmp_path, [task], arch=TINY, space=tiny.SPACE)
    config = Config.fromfile(path.with_name(f'{task}.py'))
    if task == 'cityscapes-fcn':
        config.model.data_preprocessor.size = (64, 64)
        model = build(config.model, 'mmseg')
        assert type(model.backbone) is SubnetResNet and model.decode_head.in_channels == 52
        check_step(model, labels_and_images())
    else:
        model = build(config.model, 'mmdet')
        shared = model.roi_head.shared_head
        before = shared.layer4[0].conv1.weight.clone(), shared.norm.weight.clone()
        check_step(model, boxes_and_images())
        assert not torch.equal(shared.layer4[0].conv1.weight, before[0]) and not torch.equal(shared.norm.weight, before[1])


def test_retinanet_takes_it(exported):
    from mmengine.hub import get_config
    model = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').model
    meta = torch.load(exported / 'backbone.pth', weights_only=True)['meta']['gaia_ssl']
    model.backbone = backbone_config(exported / 'backbone.pth', meta, norm_cfg=dict(type='SyncBN'))
    model.neck.in_channels = list(downstream_data.RESNET.out_channels)
    check_step(build(model, 'mmdet'), boxes_and_images())


@pytest.mark.parametrize('name, settings', [('pspnet_r50-d8', DILATED), ('upernet_r50', {}), ('deeplabv3_r50-d8', DILATED)])
def test_other_segmentors_take_it(exported, name, settings):
    mmseg = pytest.importorskip('mmseg')
    model = Config.fromfile(f'{mmseg.__path__[0]}/.mim/configs/_base_/models/{name}.py').model
    meta = torch.load(exported / 'backbone.pth', weights_only=True)['meta']['gaia_ssl']
    channels = downstream_data.RESNET.out_channels
    model.pretrained = None
    model.backbone = backbone_config(exported / 'backbone.pth', meta, **settings)
    model.data_preprocessor.size = (64, 64)
    for head in (model.decode_head, model.auxiliary_head):
        several = not isinstance(head.in_index, int)
        head.in_channels = [channels[index] for index in head.in_index] if several else channels[head.in_index]
    check_step(build(model, 'mmseg'), labels_and_images())


def test_all_tasks_are_covered():
    assert {name for name, task in TASKS.items() if task.toolbox != 'mmpretrain'} == set(downstream_data.MAKERS)
