import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize('toolbox', ['mmdet', 'mmseg', 'mmpretrain'])
def test_toolboxes_find_the_subnet_without_custom_imports(toolbox):
    """In a process that has imported the toolbox's registry and nothing of ours."""
    pytest.importorskip(toolbox)
    code = f"""
import sys
from {toolbox}.registry import MODELS
assert not any(name.startswith('gaia_ssl') for name in sys.modules)
net = MODELS.build(dict(type='gaia_ssl.SubnetResNet', arch='4-4x1-4x1-4x1-4x1', frozen_stages=1, norm_eval=True))
print(type(net).__module__, type(net).__name__, net.arch)
"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-3:] == ['gaia_ssl.models.backbones.subnet_resnet', 'SubnetResNet', '4-4x1-4x1-4x1-4x1']


@pytest.mark.slow
@pytest.mark.parametrize('name', ['SubnetResNet', 'SubnetResLayer'])
def test_the_backbone_brings_nothing_heavy(name):
    """No package beside ours that mmengine's Runner and mmcv's layers do not bring already."""
    code = f"""
import sys
import mmcv.cnn
import mmengine.runner
from mmengine.registry import MODELS
before = {{module.partition('.')[0] for module in sys.modules}}
MODELS.build(dict(type='gaia_ssl.{name}', arch='4-4x1-4x1-4x1-4x1'))
after = {{module.partition('.')[0] for module in sys.modules}}
print(*(after - before - sys.stdlib_module_names))
heavy = 'matplotlib', 'pandas', 'sklearn', 'scipy', 'torchvision', 'fvcore', 'mmpretrain', 'mmdet', 'mmseg'
print(*(module for module in heavy if module in sys.modules))
"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-2:] == ['gaia_ssl', '']


@pytest.mark.slow
def test_everything_that_configs_name_is_found():
    """In a fresh process too: here other tests have long imported it all."""
    code = """
from mmengine import registry
names = dict(
    MODELS=['DynamicResNet', 'SubnetResLayer', 'SubnetResNet', 'SupernetMoCo'],
    MODEL_WRAPPERS=['SandwichDistributedDataParallel'],
    DATASETS=['ImageFolder'], TRANSFORMS=['MapLabel'], DATA_SAMPLERS=['SeededSampler'], LOOPS=['TaskAwareSearchLoop'],
    HOOKS=['AtomicCheckpointHook', 'SandwichSamplerHook', 'SubnetEvaluationHook', 'UnreadableImagesHook'],
    OPTIM_WRAPPERS=['AutocastOptimWrapper'])
for kind, types in names.items():
    for name in types:
        with getattr(registry, kind).switch_scope_and_registry('mmpretrain') as current:
            found = current.get(f'gaia_ssl.{name}')
        assert found is not None and found.__name__ == name, name
"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_name_that_nobody_registered():
    from gaia_ssl.registry import MODELS
    assert MODELS.get('gaia_ssl.NoSuchNet') is None
    with pytest.raises(KeyError, match='NoSuchNet'):
        MODELS.build(dict(type='gaia_ssl.NoSuchNet'))


def test_mmengine_knows_where_our_configs_are():
    from mmengine.config.utils import MODULE2PACKAGE

    import gaia_ssl.registry  # noqa: F401
    assert MODULE2PACKAGE['gaia_ssl'] == 'gaia_ssl'
