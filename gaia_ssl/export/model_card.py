"""The README.md of an exported folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from gaia_ssl.export.into_config import IntoConfig
from gaia_ssl.export.tasks import PreparedTask
from gaia_ssl.export.winner import Winner
from gaia_ssl.search.task import MEASURES, similarity_label
from gaia_ssl.terminal import one_line

_PACKAGES = dict(torch='torch', mmengine='onedl-mmengine', mmcv='onedl-mmcv', mmpretrain='onedl-mmpretrain',
                 mmdet='onedl-mmdetection', mmseg='onedl-mmsegmentation')

_TEXT = """# {arch}

A ResNet of bottlenecks (stem width, then width x depth of each stage): a subnet of a weight-sharing supernet that was trained
without labels, exported by gaia_ssl.

| | |
|---|---|
{rows}

`backbone.pth` (like `backbone.safetensors`, if it is here) holds the weights with torchvision's key names. In any config of
mmdet, mmseg or mmpretrain, without `custom_imports`:

```python
backbone=dict(type='gaia_ssl.SubnetResNet', arch='{arch}', stem_kernel={stem_kernel},
              init_cfg=dict(type='Pretrained', checkpoint='backbone.pth'))
```

In code of your own, with torch alone: `from backbone import load`, and what `backbone.py` says at its top.
"""

_TASK = """
## {name}

{classes}, {images:,} training images; {run.iterations:,} iterations of {run.total_batch} images ({run.processes} x
{run.batch_size}), {run.optimizer}, learning rate {run.lr:g}. In this folder:

```bash
TOOLS=$(python -c 'import {toolbox} as box; print(box.__path__[0])')/.mim/tools
{train}
python "$TOOLS"/test.py {name}.py work_dirs/{name}/{run.checkpoint}
```
"""

_INTO = """
## {name}

{source} with this backbone in place of its own. In this folder:

```bash
TOOLS=$(python -c 'import {toolbox} as box; print(box.__path__[0])')/.mim/tools
python "$TOOLS"/train.py {file} --work-dir work_dirs/{file_stem}
```
"""


def model_card(meta: dict[str, Any], winner: Winner | None, tasks: Sequence[PreparedTask | IntoConfig]) -> str:
    """Markdown: what the backbone is, where it is from, and the commands that train and test it.

    Args:
        meta: What ``backbone.pth`` says of itself.
        winner: The search's result, if the arch is from one.
        tasks: Those whose configs lie beside the backbone.
    """
    rows = '\n'.join(f'| {name} | {value} |' for name, value in (*_cost(meta), *_search(winner), *_origin(meta)))
    return _TEXT.format(arch=meta['arch'], stem_kernel=meta['stem_kernel'], rows=rows) + ''.join(map(_commands, tasks))


def _cost(meta: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield f"multiply-adds at {meta['resolution']} px", f"{meta['flops'] / 1e9:.3f} G"
    yield 'parameters, without fc', f"{meta['params'] / 1e6:.2f} M"


def _search(winner: Winner | None) -> Iterator[tuple[str, str]]:
    if winner is None:
        return
    scores, search = winner.scores, winner.search
    interval = ''
    if scores.get('low') is not None and scores.get('high') is not None:
        interval = f", 95 % interval {scores['low']:.4g} to {scores['high']:.4g}"
    measures = search.get('measures')
    measure = measures.get(winner.features) if isinstance(measures, dict) else 'paper'
    label = similarity_label(winner.features, measure if measure in MEASURES else None)
    yield f'{label}, {winner.features}', f"{scores['similarity']:.4g}{interval}"
    contenders = f", {scores['contenders']} archs may be it (95 %)" if scores.get('contenders') is not None else ''
    size = f" at {search['resolution']} px" if search.get('resolution') is not None else ''
    yield 'place', f'best of the group {code_span(winner.group)}{size}{contenders}'
    digest = f", SHA-256 {_short(search['images_sha256'])}" if search.get('images_sha256') else ''
    yield 'searched on', f"{search.get('images')} images{digest}"


def _origin(meta: dict[str, Any]) -> Iterator[tuple[str, str]]:
    calibration, space = meta['calibration'], meta['space']
    yield 'method', code_span(meta['method'])
    yield 'supernet', f"{code_span(meta['source'])}, SHA-256 {_short(meta['source_sha256'])}"
    yield 'its space', f"stem {space['stem']}, widths {space['widths']}, depths {space['depths']}"
    yield 'batch norm', (f"recalibrated on {calibration['images']} images of {calibration['resolution']} px, SHA-256 "
                         f"{_short(calibration['images_sha256'])}")
    difference = meta['verification']['largest_relative_difference']
    yield 'verified', f"features equal the supernet's, largest relative difference {difference:.1e}"
    order = 'RGB' if meta['to_rgb'] else 'BGR'
    if 'pixel_range' in meta:
        low, high = (_numbers(meta['pixel_range'][name]) for name in ('low', 'high'))
        order = f"{len(meta['mean'])} channels, of which {low} become 0 and {high} become 255; after that"
    yield 'input', f"{order}, mean {_numbers(meta['mean'])}, standard deviation {_numbers(meta['std'])}"
    yield 'versions', ', '.join([f"gaia_ssl {meta['gaia_ssl_version']}", *_versions()])


def _commands(task: PreparedTask | IntoConfig) -> str:
    if isinstance(task, IntoConfig):
        return _INTO.format(name=code_span(task.name), source=code_span(task.source), toolbox=task.toolbox,
                            file=shlex.quote(f'{task.name}.py'), file_stem=shlex.quote(task.name))
    run = task.run
    work_dir = f'--work-dir work_dirs/{task.name}'
    train = f'python "$TOOLS"/train.py {task.name}.py {work_dir}'
    if run.processes > 1:
        train = (f'bash "$TOOLS"/dist_train.sh {task.name}.py {run.processes} {work_dir}\n'
                 '# or on one GPU, the learning rate scaled to its batch:\n'
                 f'{train} --cfg-options auto_scale_lr.enable=True')
    count = len(task.data.classes)
    return _TASK.format(name=task.name, toolbox=task.task.toolbox, classes=f"{count} class{'es' * (count != 1)}",
                        images=task.data.num_images, run=run, train=train)


def _versions() -> Iterator[str]:
    for name, package in _PACKAGES.items():
        try:
            yield f'{name} {metadata.version(package)}'
        except metadata.PackageNotFoundError:
            continue


def _short(digest: object) -> str:
    return code_span(f'{str(digest)[:16]}…')


def code_span(text: str) -> str:
    """Markdown, in a table, that shows ``text`` as it is, whatever is in it."""
    text = one_line(text).replace('|', r'\|')
    fence = '`' * (max(map(len, re.findall('`+', text)), default=0) + 1)
    return f'{fence} {text} {fence}' if not text.strip() or {text[0], text[-1]} & {'`', ' '} else f'{fence}{text}{fence}'


def _numbers(values: Sequence[float]) -> str:
    return ' '.join(f'{value:.6g}' for value in values)
