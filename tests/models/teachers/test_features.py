import pytest
import torch

from gaia_ssl.errors import UserError
from gaia_ssl.models.teachers.features import features_of


def test_maps_are_pooled_from_the_last():
    maps = [torch.randn(2, channels, side, side) for channels, side in ((4, 8), (6, 4), (8, 2), (10, 1))]
    features = features_of(tuple(maps), extra_tokens=1)
    torch.testing.assert_close(features.pooled, maps[3].mean((2, 3)))
    assert [features.map_of(stage) is each for stage, each in zip(('c2', 'c3', 'c4', 'c5'), maps, strict=True)] == [True] * 4


def test_fewer_maps_are_the_last_stages():
    c4, c5 = torch.randn(2, 4, 4, 4), torch.randn(2, 6, 2, 2)
    features = features_of([c4, c5], extra_tokens=1)
    assert features.map_of('c5') is c5 and features.map_of('c4') is c4 and features.map_of('c2') is c4


@pytest.mark.parametrize('extra', [0, 1, 2])
def test_tokens_are_a_class_token_and_a_grid_in_rows(extra):
    tokens = torch.randn(2, 9 + extra, 5)
    features = features_of((tokens, ), extra)
    patch = tokens[:, extra:]
    torch.testing.assert_close(features.pooled, tokens[:, 0] if extra else patch.mean(1))
    for row in range(3):
        for column in range(3):
            assert torch.equal(features.map_of('c5')[:, :, row, column], patch[:, 3 * row + column])


def test_vectors_have_no_positions():
    vectors = torch.randn(3, 7)
    features = features_of(vectors, extra_tokens=1)
    assert torch.equal(features.pooled, vectors)
    with pytest.raises(UserError, match='hold no positions'):
        features.map_of('c5')


def test_channels_that_come_last():
    maps = torch.randn(2, 3, 4, 5)
    features = features_of([maps], extra_tokens=1, channels_last=True)
    assert torch.equal(features.map_of('c5'), maps.permute(0, 3, 1, 2))
    torch.testing.assert_close(features.pooled, maps.mean((1, 2)))


@pytest.mark.parametrize('output, match', [
    (torch.randn(3), r'puts out \(3,\); it takes'), ([None], 'puts out NoneType'), ((), 'puts out nothing'),
    (torch.randn(1, 9, 4), 'not 1 and a square grid'),
])
def test_what_is_no_feature(output, match):
    with pytest.raises(UserError, match=match):
        features_of(output, extra_tokens=1)
