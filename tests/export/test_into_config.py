"""An exported backbone in configs that no file of ours names: built by their toolbox, with the exported features in them."""

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS

from gaia_ssl.checkpoint import save_checkpoint
from gaia_ssl.cli import read_config
from gaia_ssl.config_file import write_config
from gaia_ssl.config_place import places, value_at
from gaia_ssl.errors import UserError
from gaia_ssl.export.into_config import IntoConfig
from gaia_ssl.export.trial import build_model, toolbox_scope, training_loss
from gaia_ssl.models import SubnetResNet
from tests import tiny

mmseg = pytest.importorskip('mmseg')
ARCH = '5-6x2-7x1-9x1-13x1'
CHANNELS = (24, 28, 36, 52)
META = dict(arch=ARCH, stem_kernel=7, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True)
SEG = f'{mmseg.__path__[0]}/.mim/configs'
NARROW = {'model.decode_head.channels': 16, 'model.auxiliary_head.channels': 16}
FEW_REGIONS = {'model.train_cfg.rpn_proposal': dict(nms_pre=20, max_per_img=20, nms=dict(type='nms', iou_threshold=0.7))}
ONE_LAYER = {'model.encoder.num_layers': 1, 'model.decoder.num_layers': 1}
ONE_LAYER_MASKS = {'model.panoptic_head.pixel_decoder.encoder.num_layers': 1,
                   'model.panoptic_head.transformer_decoder.num_layers': 1, 'model.panoptic_head.num_queries': 4}


def case(name: str, settings: dict, changed: dict, lighter: dict | None = None, slow: bool = True):
    """A config, its new backbone's settings, its other changes, and what is made smaller first."""
    return pytest.param(name, settings, changed, lighter or {}, id=name.rpartition('/')[2].partition('_')[0],
                        marks=[pytest.mark.slow] if slow else [])


BN = dict(type='BN', requires_grad=True)
FROZEN_BN = dict(type='BN', requires_grad=False)
SYNC = dict(type='SyncBN', requires_grad=True)
USUAL = dict(norm_cfg=BN, norm_eval=True, frozen_stages=1, out_indices=(0, 1, 2, 3))
CAFFE = {**USUAL, 'norm_cfg': FROZEN_BN}
D8 = dict(norm_cfg=SYNC, out_indices=(0, 1, 2, 3), strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True)
FPN = {'neck.in_channels': list(CHANNELS)}
HEADS = {'decode_head.in_channels': 52, 'auxiliary_head.in_channels': 36}
CASES = [
    case('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', USUAL, FPN, slow=False),
    case('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', CAFFE, FPN),
    case('mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py', USUAL, FPN, FEW_REGIONS),
    case('mmdet::atss/atss_r50_fpn_1x_coco.py', USUAL, FPN),
    case('mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py', {**CAFFE, 'out_indices': (1, 2, 3)},
         {'neck.in_channels': [28, 36, 52]}, ONE_LAYER),
    case('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py', {**CAFFE, 'out_indices': (3, )}, {'neck.in_channels': 52}),
    case('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', dict(norm_cfg=dict(type='SyncBN'), out_indices=(1, 2, 3)),
         {'neck.in_channels': [28, 36, 52]}),
    case('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
         dict(norm_cfg=FROZEN_BN, norm_eval=True, out_indices=(0, 1, 2, 3)), {'panoptic_head.in_channels': list(CHANNELS)},
         ONE_LAYER_MASKS),
    case(f'{SEG}/pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py', D8, HEADS, NARROW),
    case(f'{SEG}/deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py', D8,
         {**HEADS, 'decode_head.c1_in_channels': 24}, NARROW),
    case(f'{SEG}/upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
         dict(norm_cfg=SYNC, out_indices=(0, 1, 2, 3), contract_dilation=True),
         {**HEADS, 'decode_head.in_channels': list(CHANNELS)}, NARROW),
    case(f'{SEG}/fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py', D8, HEADS, NARROW, slow=False),
    case('mmpretrain::arcface/resnet50-arcface_8xb32_inshop.py', dict(norm_cfg=BN, out_indices=(3, )),
         {'head.in_channels': 52}, slow=False),
    case('mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py', dict(norm_cfg=BN, out_indices=(3, )),
         {'head.in_channels': 52}),
]


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A backbone with random weights, in a file as an export writes it; and the network."""
    torch.manual_seed(0)
    net = SubnetResNet(ARCH).eval()
    path = tmp_path_factory.mktemp('exported') / 'backbone.pth'
    save_checkpoint(dict(state_dict=net.state_dict(), meta=dict(gaia_ssl=META)), path)
    return path, net


def fill(source: str, config: Config, meta: dict | None = None, checkpoint='backbone.pth') -> tuple[Config, list[str]]:
    lines: list[str] = []
    return IntoConfig(source, config, lines.append).fill(checkpoint, meta or META), lines


def flat(config: Config) -> dict[str, object]:
    """All that is no dict or list, by its place."""
    return {'.'.join(map(str, place)): value for place, value in places(config.to_dict())
            if not isinstance(value, dict | list | tuple) or not value}


@pytest.mark.parametrize('name, settings, changed, lighter', CASES)
def test_into(exported, name, settings, changed, lighter):
    """What is written differs from the config in its backbone and what follows from that, and has the exported features."""
    checkpoint, net = exported
    before = read_config(name)
    before.merge_from_dict(lighter)
    config, _ = fill(name, before, checkpoint=checkpoint)
    path = checkpoint.with_name('into.py')
    write_config(config, path, beside=checkpoint)
    config = Config.fromfile(path)

    where = ('image_encoder', 0) if 'arcface' in name else ('backbone', )
    assert value_at(config.model, where) == dict(
        type='gaia_ssl.SubnetResNet', arch=ARCH, stem_kernel=7, init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)),
        **settings)
    old, new = flat(before), flat(config)
    different = {place for place in old.keys() | new.keys() if old.get(place) != new.get(place)}
    place = 'model.' + '.'.join(map(str, where))
    follow = [place, *(f'model.{each}' for each in changed), 'model.pretrained', *(
        f'{holder}data_preprocessor.{each}' for holder in ('', 'model.') for each in ('mean', 'std', 'bgr_to_rgb', 'to_rgb'))]
    assert not [each for each in different if not any(f'{each}.'.startswith(f'{one}.') for one in follow)]
    for place, value in changed.items():
        assert value_at(config.model, tuple(place.split('.'))) == value

    toolbox = config.default_scope
    preprocessor = config.model.get('data_preprocessor') or config.data_preprocessor
    assert preprocessor.mean == META['mean'] and preprocessor.std == META['std']
    assert preprocessor['to_rgb' if toolbox == 'mmpretrain' else 'bgr_to_rgb'] is True
    with toolbox_scope(toolbox):
        inside = MODELS.build(value_at(config.model, where)).eval()
        inside.init_weights()
    net.out_indices, images = inside.out_indices, tiny.images(1, size=64)
    dilated = {key: settings[key] for key in ('strides', 'dilations', 'contract_dilation') if key in settings}
    if dilated:
        reference = SubnetResNet(ARCH, **dilated).eval()
        reference.load_state_dict(net.state_dict())
    else:
        reference = net
    with torch.no_grad():
        for one, other in zip(inside(images), reference(images), strict=True):
            assert torch.equal(one, other)


RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


@pytest.fixture
def retinanet() -> Config:
    return read_config(RETINANET)


def refused(config: Config, message: str, meta: dict | None = None) -> None:
    """Filling ends in one line that matches ``message``."""
    with pytest.raises(UserError, match=message) as info:
        fill('mine.py', config, meta)
    assert '\n' not in str(info.value)


def broken(config: Config, **settings) -> Config:
    config.merge_from_dict({name.replace('__', '.'): value for name, value in settings.items()})
    return config


@pytest.mark.parametrize('settings, message', [
    (dict(model__neck__in_channels=[1, 2]), r'unchanged, does not train on made-up images, at model.neck \(AssertionError'),
    (dict(model__neck__in_channels=[256, 512, 1024, 64]), r'images, at model.neck.lateral_convs.2.conv \(RuntimeError: .*64'),
    (dict(model__backbone__type='Unheard'), 'mine.py: its own model, unchanged, cannot be built .*Unheard is not in'),
    (dict(default_scope='mmpose'), 'not a config of a model of mmdet, mmseg, mmpretrain .its default_scope is mmpose'),
    (dict(optim_wrapper__constructor='LearningRateDecayOptimizerConstructor',
          optim_wrapper__paramwise_cfg=dict(decay_rate=0.9, decay_type='layer_wise', num_layers=6)),
     'its optim_wrapper .LearningRateDecayOptimizerConstructor. does not take the new backbone .NotImplementedError'),
])
def test_configs_that_do_not_run(retinanet, settings, message):
    refused(broken(retinanet, **settings), message)


def test_a_backbone_for_small_images(retinanet):
    refused(retinanet, 'model.backbone, a ResNet, makes of 64 px maps of 16 8 4 2 px; the backbone .* with the 3x3 stem makes '
            '64 32 16 8 px', {**META, 'stem_kernel': 3})
    config, _ = fill('mine.py', read_config('mmpretrain::resnet/resnet18_8xb16_cifar10.py'), {**META, 'stem_kernel': 3})
    assert config.model.head.in_channels == 52 and config.model.backbone.stem_kernel == 3
    assert config.data_preprocessor.mean == META['mean'] and config.data_preprocessor.num_classes == 10


@pytest.mark.slow
@pytest.mark.parametrize('name, message', [
    ('mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py', 'model.roi_head.shared_head'),
    ('mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k-384px.py', 'puts out no feature maps as a ResNet does'),
])
def test_what_cannot_be_fitted_is_named(name, message):
    config = read_config(name)
    if 'faster' in name:
        config.merge_from_dict(FEW_REGIONS)
    refused(config, message)


def test_weights_of_the_whole_old_model_go(retinanet):
    retinanet.load_from, retinanet.model.init_cfg = 'old.pth', dict(type='Pretrained', checkpoint='old.pth')
    config, lines = fill('mine.py', retinanet)
    assert 'load_from' not in config and 'init_cfg' not in config.model
    assert "gone with the old weights: load_from='old.pth'" in lines


@pytest.mark.slow
def test_a_hidden_teacher_stays():
    config = read_config('mmdet::lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py')
    config.merge_from_dict({'model.teacher_ckpt': None, 'model.teacher_backbone.depth': 50})
    filled, _ = fill('mine.py', config)
    assert filled.model.neck.in_channels == list(CHANNELS) and filled.model.backbone.arch == ARCH
    for name in ('teacher_backbone', 'teacher_neck', 'teacher_bbox_head', 'bbox_head'):
        assert filled.model[name] == config.model[name]


def test_two_backbones_are_told(monkeypatch):
    from mmpretrain.models import ImageClassifier
    from mmpretrain.registry import MODELS as CLASSIFIERS

    class TwoNets(ImageClassifier):

        def __init__(self, second: dict, **kwargs) -> None:
            super().__init__(**kwargs)
            self.second = CLASSIFIERS.build(second)

        def extract_feat(self, inputs, stage='neck'):
            self.second(inputs)
            return super().extract_feat(inputs, stage)

    monkeypatch.setitem(CLASSIFIERS.module_dict, 'TwoNets', TwoNets)
    config = read_config('mmpretrain::resnet/resnet18_8xb16_cifar10.py')
    config.model.update(type='TwoNets', second=config.model.backbone)
    refused(config, 'mine.py: model.second and model.backbone take the images, where one backbone can be replaced')


def test_a_model_that_was_fitted_learns(retinanet):
    """The step that is tried is a real one: with a wrong number it fails, with the right one the loss has a gradient."""
    retinanet.model.init_cfg = dict(type='Normal', layer='Linear', std=0.01)
    config, _ = fill('mine.py', retinanet)
    assert config.model.init_cfg == retinanet.model.init_cfg  # loads no weights
    config.model.backbone = ConfigDict({key: value for key, value in config.model.backbone.items() if key != 'init_cfg'})
    model = build_model(config, 'mmdet')
    training_loss(model, config, 'mmdet').backward()
    assert all(value.grad is not None for value in model.parameters() if value.requires_grad)
    assert not any(value.requires_grad for value in model.backbone.layer1.parameters())
