"""Races over made-up scores, and over a supernet's: the same winners as in full, whatever stopped them meanwhile."""

import json
import os
import pathlib

import numpy as np
import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.search.contenders import may_be_best
from gaia_ssl.search.race import FIRST_ROUND, LEVEL, Race, RaceRules
from gaia_ssl.search.scored import Scored
from gaia_ssl.search.selection import select_archs
from gaia_ssl.space import FlopsGroups
from tests import tiny
from tests.search.loop import runner, table

SELECTION = select_archs(tiny.SPACE, groups=FlopsGroups(tiny.EDGES), resolution=32, stem_kernel=3)
BATCHES = 20


def scores(spread: float, seed: int = 0) -> np.ndarray:
    """``(R, BATCHES)``, sums over four images; the later an arch in the tree, the better."""
    rng, count = np.random.default_rng(seed), len(SELECTION.tree)
    common = rng.normal(size=BATCHES)
    return 4 * (np.arange(count)[:, None] + common + spread * rng.normal(size=(count, BATCHES)))


def run(values: np.ndarray, **rules) -> tuple[Race, list[int]]:
    """A race to its end, and how many archs ran in each round."""
    rules = RaceRules(['c5'], 'paper', **rules)
    rounds, sizes = rules.rounds(BATCHES), []
    race = Race(SELECTION, rules, len(rounds))
    place = {tuple(numbers): row for row, numbers in enumerate(SELECTION.tree.numbers)}
    for batches in rounds:
        rows = [place[tuple(numbers)] for numbers in race.running.tree.numbers]
        sizes.append(len(rows))
        race.advance(Scored(race.running, {'c5': values[rows][:, batches]}, np.full(len(batches), 4)))
        if race.running is None:
            return race, sizes
    raise AssertionError('the race did not end')


def best_rows(race: Race) -> dict[str, tuple[int, ...]]:
    return {one.selection.groups[0]: tuple(one.selection.tree.numbers[np.argmax(one.sums['c5'].sum(axis=1))])
            for one in race.finished}


def last_of_groups() -> dict[str, tuple[int, ...]]:
    return {group: tuple(SELECTION.tree.numbers[np.flatnonzero(SELECTION.groups == group)[-1]])
            for group in np.unique(SELECTION.groups) if group}


def test_every_batch_is_in_one_round():
    rounds = RaceRules(['c5'], None, seed=3).rounds(BATCHES)
    assert [len(each) for each in rounds] == [4, 2, 3, 5, 6] and sorted(sum(rounds, [])) == list(range(BATCHES))
    assert rounds != RaceRules(['c5'], None, seed=4).rounds(BATCHES)
    assert [len(each) for each in RaceRules(['c5'], None).rounds(FIRST_ROUND + 1)] == [4, 1]


def test_the_winner_is_found_with_less_work():
    race, sizes = run(scores(spread=2))
    assert best_rows(race) == last_of_groups()
    assert sizes[0] == (SELECTION.groups != '').sum() < len(SELECTION.tree)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 2
    assert race.alpha == pytest.approx((1 - LEVEL) / 5 / 3)


def test_a_clear_race_ends_after_a_round():
    race, sizes = run(scores(spread=1e-3))
    assert len(sizes) == 1 and best_rows(race) == last_of_groups()
    assert all(len(one.sizes) == FIRST_ROUND for one in race.finished)


def test_who_stays_may_be_the_best_by_all_batches_so_far():
    values = scores(spread=2)
    race = Race(SELECTION, RaceRules(['c5'], 'paper'), 5)
    for batches in ([0, 1, 2, 3], [4, 5]):
        before, rows = race.running, np.flatnonzero(np.isin(SELECTION.archs(), race.running.archs()))
        race.advance(Scored(before, {'c5': values[rows][:, batches]}, np.full(len(batches), 4)))
    expected = set()
    for group in np.unique(before.groups):
        members = np.flatnonzero(before.groups == group)
        left = may_be_best(values[rows][members][:, :6] / 4, race.alpha)
        expected |= {before.archs()[row] for row in members[left]} if left.sum() > 1 else set()
    assert set(race.running.archs()) == expected


def test_what_is_indifferent_needs_not_be_told_apart():
    values = scores(spread=0.5)
    values[:] = values - 4 * np.arange(len(values))[:, None]  # all are equal
    race, sizes = run(values)
    assert len(sizes) == 5 and sizes[-1] > 20
    race, sizes = run(values, indifference=3)
    assert len(sizes) < 5 and all(len(one.selection.tree) > 3 for one in race.finished)


def test_misses_are_as_rare_as_promised():
    """Equal archs, but for one a group that is better by little: no race may end without it too often."""
    misses = 0
    for seed in range(25):
        values = scores(spread=1, seed=seed) - 4 * np.arange(len(SELECTION.tree))[:, None]
        for group in last_of_groups():
            values[np.flatnonzero(SELECTION.groups == group)[-1]] += 4 * 0.3
        race, _ = run(values, seed=seed)
        misses += any(last not in set(map(tuple, one.selection.tree.numbers))
                      for one, last in zip(race.finished, map(last_of_groups().get,
                                                              [one.selection.groups[0] for one in race.finished]), strict=True))
    assert misses <= 3


def race_files(folder: pathlib.Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ('ranking.csv', 'best.json')}


def test_a_race_of_a_supernet_finds_the_winners_of_the_full_search(paths):
    """And the same bytes after stops."""
    folder = paths[0].parent / 'run'
    tiny.photos(paths[0].parent / 'data', 40)
    settings = dict(archs='all', tasks=['c2-c5', 'c5'])
    raced = runner(paths, race=True, **settings).test()
    files, best = race_files(folder), json.loads((folder / 'best.json').read_text())
    course = best['search']['course']
    assert course[0]['archs'] == 31 > course[-1]['archs'] and course[-1]['share'] < 1
    left = table(paths)
    assert len(left) < 31 and set(left['images']) <= set(np.cumsum([one['images'] for one in course]))
    assert best['best']['c5']['2-3M']['archs'] == 11
    journals = sorted(folder.glob('scores/round-*/0000.journal'))
    assert len(journals) == len(course)
    os.truncate(journals[0], journals[0].stat().st_size // 2)
    os.truncate(journals[-1], journals[-1].stat().st_size - 1)
    runner(paths, race=True, **settings).test()
    assert race_files(folder) == files
    with pytest.raises(UserError, match='race was .*, now None'):
        runner(paths, **settings).test()
    with pytest.raises(UserError, match='race was .*indifference'):
        runner(paths, race=True, indifference=0.1, **settings).test()
    full = paths[0].parent / 'full'
    found = runner(paths, work_dir=full, **settings).test()
    whole = table(paths, full).set_index('arch')
    assert set(raced) == set(found)
    for name in found:
        task, group = name.split('/')
        assert best['best'][task][group]['arch'] == whole[whole['group'] == group][task].idxmax()


@pytest.mark.parametrize('settings, message', [
    (dict(race=True), r'needs more than 4 image batches, but 10 images in batches of 4 make 3: .*--full'),
    (dict(race=True, num_images=1), 'needs more than 4 image batches, but 1 images'),
    (dict(race=True, indifference=-0.1), r'indifference is -0\.1; give 0 or more'),
    (dict(indifference=0.1), r'this search is none; set race=True \(--race\)'),
])
def test_races_that_cannot_be(paths, settings, message):
    with pytest.raises(UserError, match=message):
        assert runner(paths, **settings).test_loop
