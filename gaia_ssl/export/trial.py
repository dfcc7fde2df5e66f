"""One training step of a config's model on made-up images: does it run, and if not, where does it stop?"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gaia_ssl.config_place import places

SIZE = 64
"""Side of the images in pixels."""
COUNT = 2
"""Of images; batch norm takes no single one where a map is pooled to one position."""


class TrialError(Exception):
    """The model does not run.

    Attributes:
        model: It; None where it could not be built.
        called: Name of the module that was called last, and its first input.
        where: Name of the module in whose code it ended; empty where that is the model itself.
    """

    def __init__(self, error: Exception, model: nn.Module | None = None, called: tuple[nn.Module, Any] | None = None) -> None:
        super().__init__(f'{type(error).__name__}: {error}'[:300])
        self.model = model
        names = {} if model is None else {module: name for name, module in model.named_modules()}
        self.called = None if called is None else (names.get(called[0], ''), called[1])
        owners = [frame.f_locals.get('self') for frame, _ in traceback.walk_tb(error.__traceback__)]
        self.where = next((names[owner] for owner in reversed(owners) if isinstance(owner, nn.Module) and owner in names), '')


@contextlib.contextmanager
def toolbox_scope(toolbox: str) -> Iterator[None]:
    """``toolbox``'s types are found, what it prints, logs and warns of is not seen, random states stay."""
    states = np.random.get_state()
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (DefaultScope.overwrite_default_scope(toolbox), torch.random.fork_rng(devices=[]), warnings.catch_warnings(),
              contextlib.redirect_stdout(io.StringIO())):
            importlib.import_module(f'{toolbox}.models')
            warnings.simplefilter('ignore')
            torch.manual_seed(0)
            yield
    finally:
        logging.disable(disabled)
        np.random.set_state(states)


def build_model(config: Config, toolbox: str, device: str = 'cpu') -> nn.Module:
    """The model of ``config`` as the Runner builds it, for one process; initialised on the CPU, but nothing is loaded.

    Raises:
        TrialError: If it cannot be built.
    """
    model = copy.deepcopy(config.model)
    for _, node in places(model):
        if isinstance(node, dict):
            node.pop('pretrained', None)
            if 'Pretrained' in str(node.get('init_cfg')):
                del node['init_cfg']
    if 'data_preprocessor' in config:
        model.setdefault('data_preprocessor', copy.deepcopy(config.data_preprocessor))
    try:
        with toolbox_scope(toolbox), torch.device(device):
            built = revert_sync_batchnorm(MODELS.build(model))
            if device == 'cpu':
                built.init_weights()
            return built
    except Exception as error:  # whatever its constructors raise
        raise TrialError(error) from error


def training_loss(model: Any, config: Config, toolbox: str,
                  on_call: Callable[[nn.Module, Any], None] | None = None) -> Tensor:
    """The loss of ``model``, in training mode, for made-up images with one object, or one label, each.

    Args:
        model: Of :func:`build_model`.
        config: What it was built from; its pipeline says what is annotated.
        toolbox: Whose it is.
        on_call: Is told each module that is called, and its first input.

    Returns:
        A scalar, with its gradient if that is enabled.

    Raises:
        TrialError: If it does not run.
    """
    called: list[tuple[nn.Module, Any]] = []

    def note(module: nn.Module, inputs: tuple) -> None:
        called[:] = [(module, inputs[0] if inputs else None)]
        if on_call is not None:
            on_call(*called[0])

    model.train()
    handle = None
    try:
        with toolbox_scope(toolbox):
            data = _prepared(model, _BATCHES[toolbox](config))
            handle = register_module_forward_pre_hook(note)
            return model.parse_losses(model(**data, mode='loss'))[0]
    except Exception as error:  # whatever its modules raise
        raise TrialError(error, model, called[0] if called else None) from error
    finally:
        if handle is not None:
            handle.remove()


def _prepared(model: Any, data: dict) -> dict:
    """Through the model's data preprocessor, as large as the images are."""
    preprocessor = model.data_preprocessor
    preprocessor.batch_augments = None
    if getattr(preprocessor, 'size', None) is not None:
        preprocessor.size = (SIZE, SIZE)
    return preprocessor(data, training=True)


def _images() -> list[Tensor]:
    return [torch.randint(256, (3, SIZE, SIZE), dtype=torch.uint8) for _ in range(COUNT)]


def _metainfo() -> dict:
    return dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE), batch_input_shape=(SIZE, SIZE),
                scale_factor=(1.0, 1.0), flip=False, img_id=0, img_path='')


def _detection(config: Config) -> dict:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    loaded = {place[-1] for place, value in places(config.get('train_dataloader')) if value is True}
    samples = []
    for _ in range(COUNT):
        sample = DetDataSample(metainfo=_metainfo())
        box = torch.tensor([[8.0, 8.0, 48.0, 40.0]])
        mask = np.zeros((1, SIZE, SIZE), dtype=np.uint8)
        mask[:, 8:40, 8:48] = 1
        label = torch.zeros(1, dtype=torch.long)
        sample.gt_instances = InstanceData(bboxes=box, labels=label)
        if 'with_mask' in loaded:
            sample.gt_instances.masks = BitmapMasks(mask, SIZE, SIZE)
        if 'with_seg' in loaded:
            sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, SIZE, SIZE, dtype=torch.long))
        sample.ignored_instances = InstanceData(bboxes=box[:0], labels=label[:0])
        samples.append(sample)
    return dict(inputs=_images(), data_samples=samples)


def _segmentation(config: Config) -> dict:
    from mmseg.structures import SegDataSample
    samples = [SegDataSample(metainfo=_metainfo()) for _ in range(COUNT)]
    for sample in samples:
        labels = torch.zeros(1, SIZE, SIZE, dtype=torch.long)
        labels[:, SIZE // 2:] = 1
        sample.gt_sem_seg = PixelData(data=labels)
    return dict(inputs=_images(), data_samples=samples)


def _classification(config: Config) -> dict:
    from mmpretrain.structures import DataSample
    return dict(inputs=_images(), data_samples=[DataSample(metainfo=_metainfo()).set_gt_label(label) for label in range(COUNT)])


_BATCHES = dict(mmdet=_detection, mmseg=_segmentation, mmpretrain=_classification)
