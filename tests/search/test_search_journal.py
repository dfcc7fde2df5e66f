"""What a search loop finds in its folder: units of its own that are not done again, and scores that it refuses."""

import json
import os

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from gaia_ssl.errors import UserError
from gaia_ssl.search import PrefixEvaluator
from gaia_ssl.search.journal import ScoreJournal
from tests import tiny
from tests.search.loop import runner, start_over, table


def test_batches_that_are_done_are_not_done_again(paths, batches):
    runner(paths).test()
    first = (paths[0].parent / 'run' / 'ranking.csv').read_bytes()
    batches.clear()
    journal = paths[0].parent / 'run' / 'scores' / '0000.journal'
    os.truncate(journal, journal.stat().st_size - 1)
    runner(paths).test()
    assert batches == [4]
    runner(paths).test()
    assert batches == [4]
    assert (paths[0].parent / 'run' / 'ranking.csv').read_bytes() == first


def test_scores_of_another_search_are_refused_or_overwritten(paths, batches):
    runner(paths).test()
    with pytest.raises(UserError, match='arch_list_sha256 was .*, now .*--overwrite'):
        runner(paths, seed=1).test()
    with pytest.raises(UserError, match=r'temperature was 0\.2, now 0\.3'):
        runner(paths, temperature=0.3).test()
    tiny.save_supernet(paths[1], seed=5)
    with pytest.raises(UserError, match='checkpoint_sha256 was'):
        runner(paths).test()
    batches.clear()
    before = table(paths)
    start_over(paths)
    runner(paths).test()
    assert batches == [3, 3, 4] and not table(paths).equals(before)


def test_other_images_are_another_search(paths):
    runner(paths).test()
    (paths[0].parent / 'data' / '003.png').rename(paths[0].parent / 'data' / 'renamed.png')
    with pytest.raises(UserError, match='images_sha256 was'):
        runner(paths).test()


def test_another_image_of_the_same_name_and_size_is_another_search(paths):
    image = paths[0].parent / 'data' / '003.png'
    content = bytearray(image.read_bytes())
    times = image.stat().st_atime_ns, image.stat().st_mtime_ns
    runner(paths).test()
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    os.utime(image, ns=times)
    with pytest.raises(UserError, match='images_sha256 was'):
        runner(paths).test()


def test_records_that_are_none_of_this_search_do_not_count(paths, batches):
    """Unknown units and batches, and payloads of other lengths, each with a valid checksum."""
    runner(paths).test()
    before, folder = table(paths), paths[0].parent / 'run'
    journal = ScoreJournal(folder / 'scores', json.loads((folder / 'scores' / 'settings.json').read_text()))
    records = list(journal)
    (folder / 'scores' / '0000.journal').unlink()
    writer = journal.writer(0)
    for batch, unit, payload in ((10**9, 0, b'1234'), (0, 10**9, b'1234'), (0, 0, b''), (0, 0, b'123'),
                                 (records[0][0], records[0][1], records[0][2] + b'1234'), *records[1:]):
        writer.append(batch, unit, payload)
    writer.close()
    batches.clear()
    runner(paths).test()
    assert len(batches) == 1 and table(paths).equals(before)


@pytest.mark.parametrize('content', [b'', b'{"dty', b'\xff\xfe', b'5', b'[]', b'[' * 100_000, b'{"dtype": 5}', b'{"dtype": []}',
                                     b'{}', b'null', b'{"features": {}}'])
def test_broken_settings_are_one_line(paths, content):
    scores = paths[0].parent / 'run' / 'scores'
    scores.mkdir(parents=True)
    (scores / 'settings.json').write_bytes(content)
    (scores / '0000.journal').write_bytes(b'')
    with pytest.raises(UserError, match='use --overwrite or another folder') as info:
        runner(paths, dtype=None).test()
    assert '\n' not in str(info.value) and len(str(info.value)) < 3000


def test_a_folder_that_another_search_took_over_gets_no_ranking(paths, monkeypatch):
    """Where locks do not hold it off: on some network disks, or if someone removes the folder."""
    settings, teach = paths[0].parent / 'run' / 'scores' / 'settings.json', PrefixEvaluator.teach

    def take_over(self, images):
        changed = json.loads(settings.read_text()) | dict(checkpoint_sha256='of another')
        settings.unlink()
        settings.write_text(json.dumps(changed))
        return teach(self, images)

    monkeypatch.setattr(PrefixEvaluator, 'teach', take_over)
    with pytest.raises(UserError, match='taken over by another search'):
        runner(paths).test()
    assert not (paths[0].parent / 'run' / 'ranking.csv').exists()


def test_missing_units_are_not_passed_over(paths, monkeypatch):
    """As where the machines of a search do not share the folder."""
    monkeypatch.setattr('gaia_ssl.engine.unit_scoring.share_of_process', lambda todo, *_: todo[:5])
    with pytest.raises(UserError, match=r'units are missing in .*do all machines share'):
        runner(paths).test()


@pytest.mark.parametrize('change, message', [
    (lambda config: config.test_dataloader.dataset.pipeline[1].update(scale=40), 'pipeline was'),
    (lambda config: config.model.backbone.update(dilations=(1, 1, 1, 2), strides=(1, 2, 2, 1)), 'backbone was'),
    (lambda config: config.model.data_preprocessor.update(mean=[1, 2, 3]), 'trained with mean'),
])
def test_what_changes_the_features_is_another_search(paths, change, message):
    runner(paths).test()
    config = Config.fromfile(paths[0])
    config.work_dir = str(paths[0].parent / 'run')
    config.test_cfg.checkpoint = str(paths[1])
    change(config)
    with pytest.raises(UserError, match=message):
        Runner.from_cfg(config).test()
