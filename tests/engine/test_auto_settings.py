import pytest
import torch
from mmengine.config import Config

from gaia_ssl.engine.auto_settings import fill_auto, fill_from_checkpoint, fill_from_start, settle_for_search, suitable
from gaia_ssl.errors import UserError
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from tests import tiny
from tests.models import layouts

CONFIGS = tiny.ROOT / 'configs' / 'data'


def test_a_thousand_images_on_a_cpu():
    """The settings that the figures in docs/results.md were measured with."""
    values = suitable(1000, processes=1, gpu=False, distilled=True)
    assert values == dict(batch_size=50, total_batch=50, epochs=24, iterations=480, warmup=24, lr=2e-3, queue_len=500,
                          momentum=0.99, temperature=0.1, interval=10)


@pytest.mark.parametrize('images', [1, 2, 17, 500, 12_345, 10**6, 10**8])
@pytest.mark.parametrize('processes', [1, 8])
@pytest.mark.parametrize('gpu', [False, True])
def test_any_number_of_images(images, processes, gpu):
    values = suitable(images, processes, gpu, distilled=False)
    assert 2 <= values['batch_size'] <= 128 and values['total_batch'] == values['batch_size'] * processes
    assert values['epochs'] >= 1 and values['iterations'] >= values['warmup'] >= 1
    assert values['queue_len'] % values['total_batch'] == 0 and values['queue_len'] <= max(65536, values['total_batch'])
    assert 0.99 <= values['momentum'] <= 0.999 and 5e-4 <= values['lr'] <= 1e-3


def test_more_images_are_seen_less_often_and_more_in_all():
    numbers = [500, 1000, 5000, 25_000, 10**5, 10**6]
    for gpu in (False, True):
        epochs = [suitable(images, 1, gpu, True)['epochs'] for images in numbers]
        seen = [images * each for images, each in zip(numbers, epochs, strict=True)]
        assert epochs == sorted(epochs, reverse=True) and seen == sorted(seen)


def test_what_is_given_stays_and_the_rest_follows():
    config = Config.fromfile(CONFIGS / 'mocov2_start.py')
    config.merge_from_dict({'train_dataloader.batch_size': 20, 'train_cfg.max_epochs': 3, 'model.teacher_momentum': 0.5})
    filled = fill_auto(config, images=100)
    assert config.model.teacher_momentum == 0.5 and not {'model.teacher_momentum', 'train_cfg.max_epochs'} & filled.keys()
    assert config.model.queue_len == 40 and config.auto_scale_lr.base_batch_size == 20
    warmup, cosine = config.param_scheduler
    assert warmup.end == cosine.begin == 1 and cosine.end == 15
    assert filled['param_scheduler.1.end'] == 15 and filled['default_hooks.logger.interval'] == 2
    assert fill_auto(config, images=9999) == {}


def test_the_teacher_is_the_start(tmp_path):
    torch.save(layouts.resnet().state_dict(), tmp_path / 'net.pth')
    config = Config.fromfile(CONFIGS / 'distill_start.py')
    with pytest.raises(UserError, match='say --start FILE'):
        fill_from_start(config, None)
    start = read_pretrained(tmp_path / 'net.pth')
    fill_from_start(config, start)
    assert config.model.teacher.checkpoint == str(tmp_path / 'net.pth') and config.model.feat_dim == 4 * 64
    config.model.update(feat_dim='auto', teacher=dict(type='mmpretrain.VisionTransformer', checkpoint='a.pth'))
    with pytest.raises(UserError, match="set model.feat_dim to the length of the teacher's pooled feature"):
        fill_from_start(config, start)


def test_a_checkpoint_says_what_its_model_is(tmp_path):
    teacher = tiny.save_teacher(tmp_path / 'teacher.pth')
    path = tiny.save_supernet(tmp_path / 'supernet.pth', method=tiny.distillation(teacher), stem_kernel=7)
    checkpoint = torch.load(path, weights_only=True)
    config = Config.fromfile(CONFIGS / 'distill_start.py')
    settle_for_search(config, str(path))
    assert config.model.teacher.checkpoint == teacher['checkpoint'] and config.model.feat_dim == 64
    assert config.model.backbone.space == tiny.SPACE.to_dict() and "'auto'" not in str(config.to_dict())
    config = Config.fromfile(CONFIGS / 'mocov2_start.py')
    path = tiny.save_supernet(tmp_path / 'moco.pth', stem_kernel=7)
    settle_for_search(config, str(path))
    assert config.model.queue_len == 20 and "'auto'" not in str(config.to_dict())
    for wrong in (None, [], dict(config='nothing'), dict(config=dict(checkpoint=3))):
        checkpoint['meta']['gaia_ssl']['teacher'] = wrong
        with pytest.raises(UserError, match='does not say which frozen teacher'):
            fill_from_checkpoint(Config.fromfile(CONFIGS / 'distill_start.py'), checkpoint, 'a.pth')
