"""Does it matter on whose images a supernet is searched?

    gaia-ssl domains CONFIG CHECKPOINT --images A B

The same subnets are searched on the images of A, those of the task, and of B: their winners, and how far the two rankings
agree. With downstream scores on A (--scores): how well either ranking predicts them, and what the winners score.
"""

import argparse
from pathlib import Path

import import_guard  # noqa: F401

import pandas as pd
from mmengine.config import Config

from gaia_ssl import ArchSpace, cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.datasets import ImageFolder
from gaia_ssl.engine.run_search import SEARCH_FILES, check_search_config, run_search
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.arch_table import read_scores
from gaia_ssl.evaluation.rank_correlation import MIN_ARCHS, notes_of
from gaia_ssl.evaluation.rank_report import correlation_table, write_correlations, write_table
from gaia_ssl.files import claim_folder
from gaia_ssl.models.supernet_meta import read_supernet_meta
from gaia_ssl.search.domains import against_scores, agreement, compare_winners, distinct_names, join_rankings
from gaia_ssl.search.domains_report import agreement_table, winners_table
from gaia_ssl.search.outcome import read_found
from gaia_ssl.search.rank_plots import plot_domains
from gaia_ssl.search.ranking import read_ranking
from gaia_ssl.search.task import TASKS
from gaia_ssl.terminal import PlainConsole

RESULTS = ('similarities.csv', 'winners.csv', 'correlations.csv', 'correlations.json', 'domains.png')


def main() -> None:
    arguments = parse_arguments()
    say = PlainConsole(120).print
    config, space = read_supernet(arguments)
    paths = [Path(path) for path in arguments.images or arguments.rankings]
    if paths[0].resolve() == paths[1].resolve():
        raise UserError(f'{paths[0]} is given twice; give two different ones')
    names = tuple(arguments.names or distinct_names(*(path if config else path.parent for path in paths)))
    scores = read_scores(arguments.scores, space) if arguments.scores else None
    if config is None:
        rankings = [read_ranking(path, arguments.tasks) for path in paths]
        check_same_supernet(*paths)
    else:
        for path in paths:
            ImageFolder(str(path), **cli.file_choice(arguments).arguments())  # raises where there is no image
    out = Path(arguments.work_dir or (config.work_dir if config else 'work_dirs/compare_domains'))
    earlier = [f'{name}/{file}' for name in names if config is not None for file in SEARCH_FILES]
    claim_folder(out, *RESULTS, *earlier, resume=arguments.resume, overwrite=arguments.overwrite)

    if config is not None:
        rankings = [run_search(config, arguments.checkpoint, out / name, arguments.tasks or list(TASKS),
                               search_settings(arguments), str(path)) for name, path in zip(names, paths, strict=True)]
    tasks = [task for task in TASKS if all(task in ranking for ranking in rankings)]
    if not tasks:
        raise UserError(f'{paths[0]} and {paths[1]} have no task in common; search both for the same tasks')
    table = join_rankings(*rankings, tasks, names)
    if scores is not None:
        table = table.merge(scores, on='arch', how='left')
        if (known := table['score'].notna().sum()) < MIN_ARCHS:
            raise UserError(f'{arguments.scores}: {known} of its archs are in both rankings; a rank correlation needs '
                            f'{MIN_ARCHS} or more')

    bootstrap = dict(resamples=arguments.resamples, seed=arguments.seed)
    winners = compare_winners(table, tasks, names)
    agreeing = agreement(table, tasks, names, **bootstrap)
    tables = [winners_table(winners, names), agreement_table(agreeing, tasks, names)]
    correlations = [agreeing]
    if scores is not None:
        correlations.append(against_scores(table.dropna(subset='score'), tasks, names, **bootstrap))
        tables.append(correlation_table(correlations[-1], 'Rank correlation with the downstream score', f'on {names[1]}'))
    write_table(table, out / 'similarities.csv')
    write_table(winners, out / 'winners.csv')
    write_correlations(pd.concat(correlations), dict(vars(arguments), names=names, subnets=len(table)), out)
    plot_domains(table, tasks, names, winners, agreeing, out / 'domains.png')
    for each in tables:
        say(each)
    for note in dict.fromkeys(note for each in correlations for note in notes_of(each)):
        say(f'note: {note}', soft_wrap=True)
    say(f'winners: {out}/winners.csv   figures: {out}/correlations.csv   picture: {out}/domains.png', soft_wrap=True)


def parse_arguments() -> argparse.Namespace:
    """Of the command line, with combinations that make no sense refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', metavar='CONFIG', help=cli.CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', metavar='CHECKPOINT', help='checkpoint of the supernet')
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument('--images', nargs=2, metavar=('A', 'B'), help='folders of images to search on; A are those of the task')
    which.add_argument('--rankings', nargs=2, metavar=('A', 'B'), help='ranking.csv of two searches that were made')
    parser.add_argument('--names', nargs=2, metavar=('A', 'B'), help='what to call A and B (default: from their paths)')
    parser.add_argument('--tasks', nargs='+', choices=list(TASKS), help='tasks to compare (default: all)')
    parser.add_argument('--scores', metavar='FILE', help='CSV file with columns arch and score: downstream scores on A')
    parser.add_argument('--archs', help="'all', a number to draw from each group, or a file (default: as the config says)")
    parser.add_argument('--num-images', type=int, metavar='N', help='search on so many images (default: as the config says)')
    cli.add_files_arguments(parser, listed=False)
    cli.add_resolution_argument(parser)
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of the bootstrap (default: %(default)s)')
    parser.add_argument('--resamples', type=int, default=1000, metavar='N', help='of the bootstrap (default: %(default)s)')
    parser.add_argument('--resume', action='store_true', help='go on with what the work dir holds')
    cli.add_config_arguments(parser)
    arguments = parser.parse_args()

    if arguments.images and arguments.checkpoint is None:
        raise UserError('give CONFIG and CHECKPOINT to search with; only --rankings needs neither')
    if arguments.rankings and arguments.config is not None:
        raise UserError('--rankings needs no CONFIG and CHECKPOINT; give --images to search')
    names = arguments.names or ['a', 'b']
    if names[0] == names[1] or any(not name or Path(name).name != name for name in names):
        raise UserError(f"--names are '{names[0]}' and '{names[1]}'; give two different names for folders")
    if arguments.resamples < 1 or arguments.seed < 0:
        raise UserError(f'--resamples is {arguments.resamples} and --seed {arguments.seed}; give 1 or more, and 0 or more')
    return arguments


def read_supernet(arguments: argparse.Namespace) -> tuple[Config, ArchSpace] | tuple[None, None]:
    """Config and space of the supernet to search, if there is one."""
    if arguments.checkpoint is None:
        return None, None
    config = cli.load_config(arguments)
    check_search_config(config, arguments.config)
    cli.set_images(config, 'test_dataloader', arguments)
    return config, read_supernet_meta(load_checkpoint(arguments.checkpoint), arguments.checkpoint)['space']


def check_same_supernet(*rankings: Path) -> None:
    """Raise a UserError if the two rankings are known to be of different checkpoints or measures."""
    for name, kind, advice in (('checkpoint_sha256', 'checkpoints', 'search one supernet on both'),
                               ('measures', 'measures', 'search both by the same')):
        sources = [read_found(path.parent).get(name) for path in rankings]
        if None not in sources and sources[0] != sources[1]:
            raise UserError(f'{rankings[0]} and {rankings[1]} are of different {kind}; {advice}')


def search_settings(arguments: argparse.Namespace) -> dict:
    """What the command line says in place of the config."""
    settings = {}
    if arguments.archs is not None:
        settings['archs'] = cli.read_archs(arguments.archs)
    if arguments.num_images is not None:
        settings['num_images'] = arguments.num_images
    return settings


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
