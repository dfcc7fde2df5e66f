import warnings

import numpy as np
import pytest
import torch

from gaia_ssl import DATA_SPACE, Arch
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet
from gaia_ssl.space.cost import feature_sizes

# The paper's Table 3 and ResNet-50: multiply-adds / 1e9, parameters / 1e6 without and with batch norm.
TABLE = [
    ('32-48x2-96x2-192x5-512x2', 1.87, 13.63, 13.67),
    ('48-48x2-96x2-192x13-384x2', 2.69, 14.72, 14.77),
    ('32-48x3-96x2-192x17-512x3', 3.69, 25.65, 25.72),
    ('64-64x2-128x2-192x25-384x2', 4.69, 22.72, 22.80),
    ('32-64x4-96x6-192x21-640x4', 5.92, 43.36, 43.45),
    ('64-80x3-96x6-192x27-640x3', 6.58, 40.24, 40.35),
    ('64-64x3-128x4-256x6-512x3', 4.09, 23.45, 23.51),
]


@pytest.mark.parametrize('text, flops, params, params_with_norm', TABLE)
def test_the_papers_table(text, flops, params, params_with_norm):
    arch = Arch.parse(text)
    assert [arch.flops() / 1e9, arch.params(norm=False) / 1e6, arch.params() / 1e6] == pytest.approx(
        [flops, params, params_with_norm], abs=0.006)


def test_resnet50_has_torchvisions_parameters():
    torchvision = pytest.importorskip('torchvision')
    with torch.device('meta'):
        model = torchvision.models.resnet50()
    total = sum(p.numel() for name, p in model.named_parameters() if not name.startswith('fc.'))
    assert Arch.parse('64-64x3-128x4-256x6-512x3').params() == total


@pytest.mark.parametrize('index, resolution, stem_kernel, channels', [
    (1234, 224, 7, 3),
    (20011, (97, 130), 7, 3),
    (43210, (64, 33), 3, 1),
    (67890, 31, 3, 13),
    (85292, (225, 1), 7, 3),
])
def test_a_real_module_costs_the_same(index, resolution, stem_kernel, channels):
    fvcore = pytest.importorskip('fvcore.nn')
    arch = DATA_SPACE[index]
    height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
    with torch.device('meta'):
        model = SubnetResNet(arch, stem_kernel=stem_kernel, in_channels=channels)
    model.to_empty(device='cpu').eval()  # initialising the weights would take longer than all the rest
    image = torch.empty(1, channels, height, width)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        analysis = fvcore.FlopCountAnalysis(model, image).unsupported_ops_warnings(False)
        counted = analysis.uncalled_modules_warnings(False).by_operator()['conv']
    assert arch.flops(resolution, stem_kernel, channels) == counted
    assert arch.params(stem_kernel, in_channels=channels) == sum(p.numel() for p in model.parameters())
    assert arch.params(stem_kernel, False, channels) == sum(p.numel() for p in model.parameters() if p.dim() == 4)


def test_feature_sizes_are_those_of_a_real_module():
    model = SubnetResNet('4-4x1-4x1-4x1-4x1').eval()
    for size in [(224, 224), (97, 130), (33, 1)]:
        with torch.no_grad():
            outs = model(torch.zeros(1, 3, *size))
        assert feature_sizes(size, 7)[2:] == [tuple(out.shape[2:]) for out in outs]


@pytest.mark.parametrize('resolution', [32, (65, 97)])
@pytest.mark.parametrize('stem_kernel', [7, 3])
def test_the_table_of_a_space_holds_the_cost_of_each_arch(resolution, stem_kernel, channels=5):
    table = DATA_SPACE.costs(resolution, stem_kernel, channels)
    for index in np.random.default_rng(0).integers(len(DATA_SPACE), size=100):
        arch, row = DATA_SPACE[index], table[index]
        assert [row['stem'], *(row[f'width{s}'] for s in '1234'), *(row[f'depth{s}'] for s in '1234')] == [
            arch.stem, *arch.widths, *arch.depths
        ]
        assert row['flops'] == arch.flops(resolution, stem_kernel, channels)
        assert row['params'] == arch.params(stem_kernel, in_channels=channels)


@pytest.mark.parametrize('resolution', [0, -1, (224, 0), (1, 2, 3), ()])
def test_bad_resolution(resolution):
    with pytest.raises(UserError, match='resolution'):
        Arch.parse('4-4x1-4x1-4x1-4x1').flops(resolution)


def test_bad_stem_kernel():
    with pytest.raises(UserError, match='stem_kernel is 5'):
        Arch.parse('4-4x1-4x1-4x1-4x1').flops(stem_kernel=5)
