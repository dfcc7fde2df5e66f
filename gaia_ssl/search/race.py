"""A search that stops scoring the archs which cannot win any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.search.contenders import may_be_best
from gaia_ssl.search.scored import Scored
from gaia_ssl.search.selection import Selection
from gaia_ssl.search.task_scores import Scales, TaskScores, scales_of

FIRST_ROUND = 4
"""Image batches of the first round, by which nearly all archs are judged."""
GROWTH = 1.5
"""How many times as many batches there are after each further round."""
LEVEL = 0.95
"""The probability that a race keeps the best arch of each task and group, or ends with one inside the indifference."""


@dataclasses.dataclass(frozen=True)
class RaceRules:
    """How a race is run.

    Args:
        tasks: An arch stays while it may be the best of its group for one of them.
        measure: What they are compared by; None is each task's own.
        indifference: A group is decided when no arch can be better than its winner by so much, in the unit of the similarity.
        seed: Of the order of the batches, which a folder has by class or scene, and of the tests.
    """

    tasks: Sequence[str]
    measure: str | None
    indifference: float = 0.0
    seed: int = 0

    def rounds(self, batches: int) -> list[list[int]]:
        """The numbers of the image batches of each round: all batches, in a random order."""
        order = np.random.Generator(np.random.Philox(self.seed)).permutation(batches)
        ends = [FIRST_ROUND]
        while ends[-1] < batches:
            ends.append(min(batches, int(np.ceil(ends[-1] * GROWTH))))
        return [part.tolist() for part in np.split(order, ends[:-1])]


class Race:
    """Takes the scores of one round after the other, and says who runs in the next.

    All decisions together leave out the best arch of a task and group, or miss it by more than the indifference, with a
    probability of ``1 - LEVEL`` or less: each of them has an equal share of it (a union bound over tasks, groups and rounds, so
    that a race may end after any round), and is simultaneous over archs. Each compares the archs left on all batches so far.
    What brings the measures between images to one scale is found in the first round, by all archs, and stays.

    Args:
        selection: All archs that might be scored; those outside all groups do not run.
        rules: Of the race.
        rounds: Number of rounds there can be.

    Raises:
        UserError: If no arch lies in a group.
    """

    def __init__(self, selection: Selection, rules: RaceRules, rounds: int) -> None:
        if not (selection.groups != '').any():
            raise UserError('none of these archs lies in a group, so that there is nothing to race for; change group_edges')
        self.entered = selection.take(np.flatnonzero(selection.groups != ''))
        self.running: Selection | None = self.entered
        """Who is to be scored in the next round; None at the end."""
        self.finished: list[Scored] = []
        """The archs of a group that were scored to its end, group by group."""
        self.scales: Scales = {}
        self._rules, self._rounds_left = rules, rounds
        decisions = rounds * len(rules.tasks) * len(np.unique(self.entered.groups))
        self.alpha = (1 - LEVEL) / decisions / (2 if rules.indifference else 1)
        """Of each decision."""
        self._scored: Scored | None = None

    def advance(self, scored: Scored) -> None:
        """Take the scores of a round, of the archs running, and drop those that cannot win any more."""
        if self._scored is None:
            self.scales = scales_of(scored.sums, scored.sizes, scored.selection.groups)
        else:
            scored = self._scored.join(scored)
        self._rounds_left -= 1
        measured = TaskScores(scored.sums, scored.sizes, self._rules.measure, self.scales)
        groups, staying = scored.selection.groups, []
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            values = [measured.of(task, rows) for task in self._rules.tasks]
            left = [may_be_best(each, self.alpha, self._rules.seed) for each in values]
            if self._rounds_left == 0 or all(map(self._is_decided, values, left)):
                self.finished.append(scored.take(rows))
            else:
                staying.append(rows[np.any(left, axis=0)])
        self._scored = scored.take(np.sort(np.concatenate(staying))) if staying else None
        self.running = self._scored.selection if self._scored else None

    def _is_decided(self, values: np.ndarray, left: np.ndarray) -> bool:
        if left.sum() > 1 and self._rules.indifference:
            values = values.copy()
            values[np.argmax(values.mean(axis=1))] += self._rules.indifference
            left = may_be_best(values, self.alpha, self._rules.seed)
        return left.sum() == 1
