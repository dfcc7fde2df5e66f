"""The configs of detection and segmentation: the paper's settings, and Runners that come as far as the data."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from torch.optim import SGD

from gaia_ssl import DATA_SPACE, Arch
from gaia_ssl.export import export_subnet
from gaia_ssl.export.backbone_config import datasets_of
from gaia_ssl.export.downstream import downstream_config_path
from gaia_ssl.export.run_summary import summarise_run
from gaia_ssl.export.tasks import TASKS, prepare_task
from gaia_ssl.models import DynamicResNet, SubnetResNet
from tests import downstream_data, tiny

NAMES = list(downstream_data.MAKERS)
META = dict(stem_kernel=7, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True)

# The paper's Tables 3 (with multiply-adds / 1e9 and parameters / 1e6 as computed) and 6 (with its groups in G).
TABLE_3 = {
    '32-48x2-96x2-192x5-512x2': (1.87, 13.67),
    '48-48x2-96x2-192x13-384x2': (2.69, 14.77),
    '32-48x3-96x2-192x17-512x3': (3.69, 25.72),
    '64-64x2-128x2-192x25-384x2': (4.69, 22.80),
    '32-64x4-96x6-192x21-640x4': (5.92, 43.45),
    '64-80x3-96x6-192x27-640x3': (6.58, 40.35),
    '64-64x3-128x4-256x6-512x3': (4.09, 23.51),
}
TABLE_6 = {
    '48-48x2-96x2-192x5-512x2': (1, 2),
    '48-48x3-96x2-192x9-512x2': (2, 3),
    '32-48x2-96x2-192x17-384x3': (3, 4),
    '32-48x2-96x6-192x19-640x3': (4, 5),
    '64-64x2-128x4-192x25-640x3': (5, 6),
    '32-64x4-128x6-192x23-640x4': (6, 7),
    '32-64x4-160x6-192x21-640x4': (7, 8),
}


def read(task: str, small: bool = False) -> Config:
    return Config.fromfile(downstream_config_path(task, small))


def filled(task: str, arch: str) -> Config:
    return TASKS[task].fill(read(task), 'backbone.pth', dict(arch=arch, **META))


def build(config: Config) -> torch.nn.Module:
    __import__(f'{config.default_scope}.models')
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return MODELS.build(copy.deepcopy(config.model))


@pytest.mark.parametrize('task, lr, weight_decay, length, milestones, batch', [
    ('coco-mask-rcnn', 0.02, 1e-4, dict(max_epochs=12), [8, 11], 16),
    ('voc-faster-rcnn-c4', 0.02, 1e-4, dict(max_iters=24000), [18000, 22000], 16),
    ('cityscapes-fcn', 0.01, 5e-4, dict(max_iters=40000), None, 16),
])
def test_the_papers_settings(task, lr, weight_decay, length, milestones, batch):
    config = read(task)
    assert config.optim_wrapper.optimizer == dict(type='SGD', lr=lr, momentum=0.9, weight_decay=weight_decay)
    assert {name: config.train_cfg[name] for name in length} == length
    assert config.param_scheduler[-1].get('milestones') == milestones
    assert summarise_run(config, 100).total_batch == config.auto_scale_lr.base_batch_size == batch
    backbone = config.model.backbone
    assert backbone.norm_cfg.type == 'SyncBN' and not {'frozen_stages', 'norm_eval'} & backbone.keys()


@pytest.mark.parametrize('task, same', [('coco-faster-rcnn', 'coco-mask-rcnn'), ('voc-faster-rcnn', 'voc-faster-rcnn-c4'),
                                        ('segmentation', 'cityscapes-fcn')])
def test_the_settings_of_the_others(task, same):
    """As in the paper's task on such data: optimizer and batch; for detection, the length and the schedule, too."""
    config, other = read(task), read(same)
    for name in ('optim_wrapper', 'auto_scale_lr', *(() if task == 'segmentation' else ('param_scheduler', 'train_cfg'))):
        assert config[name] == other[name]
    assert config.model.backbone.norm_cfg.type == 'SyncBN' and not {'frozen_stages', 'norm_eval'} & config.model.backbone.keys()


def test_the_dilated_stages_are_mmsegs():
    mmseg = pytest.importorskip('mmseg')
    base = Config.fromfile(f'{mmseg.__path__[0]}/.mim/configs/fcn/fcn_r50-d8_4xb2-40k_cityscapes-769x769.py').model
    own = read('cityscapes-fcn').model
    for name in ('strides', 'dilations', 'contract_dilation', 'out_indices'):
        assert own.backbone[name] == base.backbone[name]
    assert (own.decode_head, own.auxiliary_head, own.test_cfg) == (base.decode_head, base.auxiliary_head, base.test_cfg)


@pytest.mark.parametrize('task', NAMES)
def test_small_differs_in_data_and_schedule_only(task):
    full, small = read(task), read(task, small=True)
    for config in (full, small):
        config.model.data_preprocessor.pop('size', None)  # of the crops
    assert small.model == full.model and small.val_evaluator == full.val_evaluator
    one, other = full.optim_wrapper.optimizer, small.optim_wrapper.optimizer
    batches = [config.auto_scale_lr.base_batch_size for config in (full, small)]
    assert other.lr / one.lr == pytest.approx(batches[1] / batches[0])
    assert {**one, 'lr': 0} == {**other, 'lr': 0}
    schedules = [[scheduler.type for scheduler in config.param_scheduler] for config in (full, small)]
    assert schedules[0] == schedules[1] and small.train_cfg.max_iters == 300


def cases() -> list:
    return [*((task, arch) for task in ('coco-mask-rcnn', 'voc-faster-rcnn-c4') for arch in TABLE_3),
            *(('cityscapes-fcn', arch) for arch in TABLE_6)]


def run_model(model: torch.nn.Module, images: torch.Tensor) -> None:
    """Backbone, neck and heads, without what follows from boxes."""
    if hasattr(model, 'decode_head'):
        assert model(images, mode='tensor').shape[1] == 19
        return
    features = model.extract_feat(images)
    scores, boxes = model.rpn_head(features)
    assert len(scores) == len(boxes) == len(features)
    roi = model.roi_head
    size = roi.bbox_roi_extractor.roi_layers[0].output_size
    regions = torch.empty(2, features[0].size(1), *size, device=images.device).normal_()
    if roi.with_shared_head:
        regions = roi.shared_head(regions)
    assert roi.bbox_head(regions)[0].shape == (2, roi.bbox_head.num_classes + 1)


@pytest.mark.parametrize('task, arch', cases())
def test_the_papers_archs_build_and_run(task, arch):
    """Shapes on the meta device, cost by torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode
    with torch.device('meta'):
        model = build(filled(task, arch)).eval()
        run_model(model, torch.empty(1, 3, 64, 96))
        plain = SubnetResNet(arch).eval()
        with FlopCounterMode(display=False) as counter:
            plain(torch.empty(1, 3, 224, 224))
    count = sum(value.numel() for value in model.backbone.parameters())
    if task == 'voc-faster-rcnn-c4':
        count += sum(value.numel() for value in model.roi_head.shared_head.layer4.parameters())
    macs = counter.get_total_flops() / 2
    assert (macs, count) == (Arch.parse(arch).flops(), Arch.parse(arch).params())
    if arch in TABLE_3:
        assert (macs / 1e9, count / 1e6) == pytest.approx(TABLE_3[arch], abs=0.006)
    else:
        low, high = TABLE_6[arch]
        assert low <= macs / 1e9 < high


@pytest.fixture(scope='module')
def supernet(tmp_path_factory):
    """A checkpoint of DATA_SPACE, the student's backbone alone."""
    path = tmp_path_factory.mktemp('supernet') / 'supernet.pth'
    state = {f'backbone.{name}': value for name, value in DynamicResNet(DATA_SPACE).state_dict().items()}
    meta = dict(META, method='SupernetMoCo', space=DATA_SPACE.to_dict())
    torch.save(dict(state_dict=state, meta=dict(gaia_ssl=meta)), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize('arch', [*TABLE_3, *TABLE_6])
def test_the_papers_archs_are_exported_and_compute(supernet, arch, tmp_path):
    """From the paper's supernet into the config of their task, whose model runs with their weights."""
    names = ('cityscapes-fcn', ) if arch in TABLE_6 else ('coco-mask-rcnn', 'voc-faster-rcnn-c4')
    tasks = [prepare_task(name, str(downstream_data.MAKERS[name](tmp_path / name)), report=lambda line: None) for name in names]
    path = export_subnet(str(supernet), Arch.parse(arch), str(tiny.photos(tmp_path / 'images', 4)), tmp_path / 'out',
                         resolution=32, batch_size=4, tasks=tasks, formats=(), report=lambda line: None)
    weights = torch.load(path, weights_only=True)['state_dict']
    for name in names:
        model = revert_sync_batchnorm(build(Config.fromfile(path.with_name(f'{name}.py')))).eval()
        model.init_weights()
        assert torch.equal(model.backbone.conv1.weight, weights['conv1.weight'])
        with torch.no_grad():
            run_model(model, torch.randn(1, 3, 64, 96))


@pytest.mark.parametrize('task, small', [*((task, True) for task in NAMES), *((task, False) for task in downstream_data.PAPER)])
def test_a_runner_builds_up_to_the_data(task, small, tmp_path):
    prepared = prepare_task(task, str(downstream_data.MAKERS[task](tmp_path / 'data')), small)
    config = prepared.fill(tmp_path / 'backbone.pth', dict(arch=str(downstream_data.RESNET), **META))
    run = prepared.run
    config.update(work_dir=str(tmp_path / 'run'), experiment_name=f'{tmp_path.name}_{task}', launcher='none')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        config[loader].update(num_workers=0, persistent_workers=False)
    runner = Runner.from_cfg(config)
    loop = runner.train_loop
    optimizer = runner.build_optim_wrapper(config.optim_wrapper).optimizer
    assert isinstance(optimizer, SGD) and optimizer.defaults['lr'] == run.lr
    assert loop.dataloader.batch_sampler.batch_size == run.batch_size
    if run.processes == 1 or 'max_iters' in config.train_cfg:
        assert loop.max_iters == run.iterations
    else:  # this Runner is one of the processes that the config is for
        config.auto_scale_lr.base_batch_size = run.batch_size
        assert loop.max_iters == summarise_run(config, prepared.data.num_images).iterations
    batch = next(iter(loop.dataloader))
    assert len(batch['inputs']) == run.batch_size
    names = loop.dataloader.dataset.metainfo['classes']
    assert tuple(names) == prepared.data.classes
    head = runner.model.decode_head if hasattr(runner.model, 'decode_head') else runner.model.roi_head.bbox_head
    assert head.num_classes == len(names)
    assert config.test_evaluator == config.val_evaluator
    for loader in (runner.val_loop.dataloader, runner.test_loop.dataloader):
        assert len(loader.dataset) == 2 and len(next(iter(loader))['inputs']) == 1


def test_boxes_of_no_size_or_outside_the_picture_are_dropped_and_clipped(tmp_path):
    prepared = prepare_task('voc-faster-rcnn-c4', str(downstream_data.voc(tmp_path)), small=True)
    config = prepared.fill('backbone.pth', dict(arch=str(downstream_data.RESNET), **META))
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmdet'):
        for dataset, kept in ((next(datasets_of(config, 'train_dataloader')), 3), (config.val_dataloader.dataset, 4)):
            dataset.ann_file = 'VOC2007/ImageSets/Main/trainval.txt'
            sample = DATASETS.build(dataset)[0]
            height, width = sample['data_samples'].img_shape
            boxes = sample['data_samples'].gt_instances.bboxes.tensor
            sizes = boxes[:, 2:] - boxes[:, :2]
            assert len(boxes) == kept and (sizes > 0).all()
            if kept == 3:  # of the training, where a box's size enters a logarithm
                assert boxes.min() >= 0 and boxes[:, 2].max() <= width and boxes[:, 3].max() <= height
