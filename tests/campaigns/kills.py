"""SIGKILL at random moments of trainings and searches: each resumed run ends in the bits of an undisturbed one.

    python -m tests.campaigns.kills [--kills 100] [--seed 0]

Half of the kills hit trainings (plain, mixed precision, accumulated gradients, and with the hook that judges subnets), half of
them searches (a kind of measure each, on one thread and on two). A run is killed once or twice before it may end. Exit status 1
if an outcome differs.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.progress import Progress
from tests import tiny

EPOCHS = 6
TRAININGS: dict[str, tuple[str, list[str]]] = {
    'training': ('tiny.py', []),
    'training, mixed precision': ('tiny.py', ['--amp']),
    'training, accumulated gradients': ('tiny.py', ['--cfg-options', 'optim_wrapper.accumulative_counts=2']),
    'training with judge': ('judged.py', []),
}
"""Name -> config and further words."""
SEARCHES: dict[str, list[str]] = {
    'search, paper': ['--cfg-options', 'test_cfg.measure=paper'],
    'search, combined': ['--cfg-options', 'test_cfg.measure=combined'],
    'search, two threads': ['--cfg-options', 'test_cfg.measure=paper', 'test_cfg.threads=2'],
}


def project(root: pathlib.Path) -> pathlib.Path:
    root.mkdir()
    data, labelled = tiny.photos(root / 'data', 20), tiny.labelled_photos(root / 'labelled')
    tiny.write_config(root / 'tiny.py', data, epochs=EPOCHS)
    judge = dict(type='gaia_ssl.SubnetEvaluationHook', train=str(labelled / 'train'), val=str(labelled / 'val'), k=3,
                 resolution=32)
    tiny.write_config(root / 'judged.py', data, epochs=EPOCHS, custom_hooks=[dict(type='gaia_ssl.SandwichSamplerHook'), judge])
    tiny.save_supernet(root / 'supernet.pth')
    tiny.photos(root / 'many', 80)
    return root


def command(name: str, root: pathlib.Path, folder: pathlib.Path) -> list[object]:
    """The tool and its words."""
    if name in TRAININGS:
        config, words = TRAININGS[name]
        return ['train.py', root / config, '--work-dir', folder, *words]
    return ['search.py', root / 'tiny.py', root / 'supernet.pth', '--data', root / 'many', '--archs', 'all', '--work-dir',
            folder, *SEARCHES[name]]


def outcome(name: str, folder: pathlib.Path) -> object:
    """What must not differ."""
    if name in SEARCHES:
        return [(folder / 'ranking.csv').read_bytes()]
    checkpoint = load_checkpoint(folder / f'epoch_{EPOCHS}.pth')
    return [checkpoint['state_dict'], checkpoint['optimizer']]


def whole(name: str, root: pathlib.Path, folder: pathlib.Path) -> tuple[object, float]:
    """The undisturbed run's outcome, and its seconds."""
    start = time.monotonic()
    ended = tiny.run_tool(*command(name, root, folder), timeout=900)
    if ended.returncode:
        raise RuntimeError(f'{name}: {ended.stderr}')
    return outcome(name, folder), time.monotonic() - start


def killed(name: str, root: pathlib.Path, folder: pathlib.Path, seconds: float, rng: random.Random, kills: int) -> int:
    """A run that is killed up to ``kills`` times and then ends; how many kills hit it.

    Raises:
        RuntimeError: If a resumed run fails.
    """
    words, hit = command(name, root, folder), 0
    for _ in range(kills):
        process = tiny.start_tool(*words, *(['--resume'] if hit else []))
        time.sleep(rng.uniform(0.1, 1.0) * seconds)
        hit += process.poll() is None
        tiny.kill(process)
        if process.returncode == 0:
            return hit
    ended = tiny.run_tool(*words, '--resume', timeout=900)
    if ended.returncode:
        raise RuntimeError(f'{name}: {ended.stderr}')
    return hit


def run(kills: int, seed: int) -> dict[str, Counter]:
    """By what was killed: counts of ``runs``, ``kills`` and ``differ``."""
    counts: dict[str, Counter] = {name: Counter() for name in (*TRAININGS, *SEARCHES)}
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = project(pathlib.Path(scratch, 'project'))
        for names in (list(TRAININGS), list(SEARCHES)):
            _campaign(names, kills // 2, root, rng, counts)
    return counts


def _campaign(names: Sequence[str], kills: int, root: pathlib.Path, rng: random.Random, counts: dict[str, Counter]) -> None:
    expected = {name: whole(name, root, root / 'whole' / name) for name in names}
    progress, hit = Progress(kills, 'kills', every=30), 0
    while hit < kills:
        name, folder = names[counts[names[0]]['turn'] % len(names)], root / 'run'
        counts[names[0]]['turn'] += 1
        now = killed(name, root, folder, expected[name][1], rng, kills=rng.choice([1, 2]))
        same = tiny.equal(outcome(name, folder), expected[name][0])
        counts[name].update(runs=1, kills=now, differ=not same)
        if not same:
            print(f'{name}: differs after {now} kills', flush=True)
        hit += now
        progress.advance(now)
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    counts = run(arguments.kills, arguments.seed)
    print(f'{"what":<34} {"runs":>5} {"kills":>6} {"differ":>7}')
    for name, count in counts.items():
        print(f'{name:<34} {count["runs"]:>5} {count["kills"]:>6} {count["differ"]:>7}')
    sys.exit(any(count['differ'] for count in counts.values()))


if __name__ == '__main__':
    main()
