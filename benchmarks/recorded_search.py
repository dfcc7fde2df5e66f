"""What a finished search of all archs in full has left in its folder, for benchmarks that search again with a part of it."""

from pathlib import Path

import numpy as np
import pandas as pd

from gaia_ssl import Arch
from gaia_ssl.datasets.batches import in_even_batches
from gaia_ssl.search.journal import ScoreJournal
from gaia_ssl.search.node_scores import NodeScores, unpack_sums
from gaia_ssl.search.outcome import read_found
from gaia_ssl.search.scored import Scored
from gaia_ssl.search.selection import Selection
from gaia_ssl.space import ArchTree


def read_recorded(folder: Path) -> tuple[Scored, dict]:
    """The scores of a search, and how it was made (``search`` of its ``best.json``)."""
    found, table = read_found(folder), pd.read_csv(folder / 'ranking.csv', keep_default_na=False)
    tree = ArchTree([Arch.parse(text) for text in table['arch']])
    table = table.iloc[np.argsort(tree.rows)]
    selection = Selection(tree, {name: table[name].to_numpy() for name in ('flops', 'params')}, table['group'].to_numpy())
    sizes = [len(batch) for batch in in_even_batches(list(range(found['images'])), found['batch_size'])]
    scores, journal = NodeScores(tree, found['quantities'], len(sizes)), folder / 'scores'
    for batch, unit, payload in ScoreJournal(journal, ScoreJournal.settings_in(journal)):
        scores.put(unit, batch, unpack_sums(payload, tree, unit, found['quantities'], sizes[batch]))
    assert scores.are_finite()
    return Scored(selection, {name: scores.of(name) for name in found['quantities']}, np.array(sizes)), found
