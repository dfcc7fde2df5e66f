"""Does similarity rank subnets as their downstream scores do?

    gaia-ssl rank gaia_ssl::search/z_imagenet.py CHECKPOINT --data DIR --images IMAGES

Subnets are sampled uniformly, searched (similarity of each task) and scored on DIR, which holds train/ and val/, each with a
folder a class; or the scores come from a CSV file, such as of your own detection runs. Spearman and Kendall correlations,
overall and within budget groups, stand beside those of FLOPs and params alone.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import import_guard  # noqa: F401

import pandas as pd
import torch
from mmengine.config import Config

from gaia_ssl import Arch, cli
from gaia_ssl.checkpoint import file_hash, load_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.datasets.fingerprint import images_fingerprint
from gaia_ssl.engine.run_search import SEARCH_FILES, check_search_config, run_search, space_groups
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.arch_table import read_scores
from gaia_ssl.evaluation.rank_correlation import MIN_ARCHS, correlate, draw_archs
from gaia_ssl.evaluation.rank_report import print_correlations, write_correlations, write_table
from gaia_ssl.evaluation.rivals import RIVAL_FILES, RIVAL_IMAGES, RIVALS, score_rivals
from gaia_ssl.evaluation.subnet_scores import RANK_ME, SCORES, SubnetJudge
from gaia_ssl.files import claim_folder
from gaia_ssl.models import SubnetResNet, extract_subnet
from gaia_ssl.models.supernet_meta import in_channels_of, read_supernet_meta, student_backbone
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.search.outcome import read_found
from gaia_ssl.search.rank_plots import plot_scores
from gaia_ssl.search.ranking import read_ranking
from gaia_ssl.search.task import MEASURES, TASKS
from gaia_ssl.terminal import PlainConsole, one_line

KEEP_BYTES = 4e9
"""Images are kept decoded in memory if they take no more than this."""
RESULTS = ('subnets.csv', 'correlations.csv', 'correlations.json', 'scatter.png',
           *(f'{folder}/{name}' for folder in ('search', *(f'search_{measure}' for measure in MEASURES))
             for name in SEARCH_FILES), *(f'scores/{score}.csv' for score in (*SCORES, RANK_ME)),
           *(f'rivals/{rival}.csv' for rival in RIVAL_FILES))


def main() -> None:
    arguments = parse_arguments()
    say = PlainConsole(110).print
    config, checkpoint, meta = read_supernet(arguments)
    space = meta['space'] if meta else None
    ranking = read_ranking(arguments.ranking, arguments.tasks) if arguments.ranking else None
    own = read_scores(arguments.scores, space) if arguments.scores else None
    if ranking is not None and checkpoint is not None:
        source = read_found(Path(arguments.ranking).parent).get('checkpoint_sha256')
        if source not in (None, file_hash(arguments.checkpoint)):
            raise UserError(f'{arguments.ranking}: of another checkpoint than {arguments.checkpoint}; search this one')
    archs = choose_archs(own, ranking, config, meta, arguments, say)
    scores = [*arguments.score, *(rival for rival in arguments.rivals if rival == RANK_ME)]
    rivals = [rival for rival in arguments.rivals if rival != RANK_ME]
    judge = make_judge(scores, arguments, meta, config) if scores else None
    sample = labelled(arguments, meta, config, 'train', RIVAL_IMAGES) if rivals else None
    folder = Path(arguments.work_dir or (config.work_dir if config else 'work_dirs/rank_correlation'))
    claim_folder(folder, *RESULTS, resume=arguments.resume, overwrite=arguments.overwrite)

    if ranking is None:
        settings = dict(archs=sorted(map(str, archs)), budgets=None, latency_table=None,
                        group_edges=space_groups(config, space, meta['stem_kernel'], in_channels_of(meta)).edges)
        if arguments.num_images is not None:
            settings['num_images'] = arguments.num_images
        ranking = search(config, arguments, folder, settings)
    table = pd.DataFrame(dict(arch=list(map(str, archs)))).merge(ranking, on='arch')
    tasks = [name for name in ranking if name.split()[0] in TASKS]
    labels = {}
    if own is not None:
        table = table.merge(own, on='arch')
        labels['score'] = f'score in {one_line(Path(arguments.scores).name)}'
    if judge is not None:
        supernet = student_backbone(checkpoint, arguments.checkpoint)

        def subnet_of(arch: Arch) -> SubnetResNet:
            return extract_subnet(supernet, arch).to(judge.train.device, memory_format=torch.channels_last)

        judged = judge.judge_all(archs, subnet_of, folder / 'scores', file_hash(arguments.checkpoint), say)
        table = table.merge(judged, on='arch')
        labels |= {score: SCORES[score] for score in arguments.score}

    if sample is not None:
        table = table.merge(
            score_rivals(rivals, archs, meta['stem_kernel'], torch.cat(list(sample)), torch.tensor(sample.labels),
                         folder / 'rivals', dict(images_sha256=images_fingerprint(sample.paths, sample.folder, sample.report)),
                         arguments.seed, say), on='arch')

    bootstrap = dict(resamples=arguments.resamples, seed=arguments.seed)
    predictors = [*tasks, 'flops', 'params', *arguments.rivals]
    correlations = pd.concat([correlate(table, predictors, score, **bootstrap) for score in labels])
    write_table(table, folder / 'subnets.csv')
    write_correlations(correlations, dict(vars(arguments), subnets=len(table)), folder)
    plot_scores(table, tasks, labels, correlations, folder / 'scatter.png')
    print_correlations(say, correlations, labels)
    say(f'figures: {folder}/correlations.csv   subnets: {folder}/subnets.csv   picture: {folder}/scatter.png', soft_wrap=True)


def parse_arguments() -> argparse.Namespace:
    """Of the command line, with combinations that make no sense refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', metavar='CONFIG', help=cli.CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', metavar='CHECKPOINT', help='checkpoint of the supernet')
    parser.add_argument('--num', type=int, default=50, metavar='N', help='subnets to sample (default: %(default)s)')
    parser.add_argument('--tasks', nargs='+', choices=list(TASKS), help='tasks to correlate (default: all)')
    parser.add_argument('--measures', nargs='+', choices=list(MEASURES), metavar='NAME',
                        help=f"search by each of these: {', '.join(MEASURES)} (default: as the config says)")
    parser.add_argument('--score', nargs='+', choices=list(SCORES),
                        help='how to score subnets (default: knn); linear, semi-1 and semi-10 (1 and 10 %% of the labels) are '
                        'logistic regressions on frozen features')
    parser.add_argument('--rivals', nargs='*', choices=list(RIVALS), metavar='NAME',
                        help='rank also by what needs no supernet (without NAME by all): ' +
                        '; '.join(f'{name}, {what}' for name, what in RIVALS.items()))
    parser.add_argument('--data', metavar='DIR', help='labelled images to score on: train/CLASS/ and val/CLASS/')
    parser.add_argument('--scores', metavar='FILE', help='CSV file with columns arch and score, which also gives the archs')
    parser.add_argument('--ranking', metavar='FILE', help='ranking.csv of an earlier search, instead of searching')
    parser.add_argument('--num-images', type=int, metavar='N', help='search on so many images (default: as the config says)')
    parser.add_argument('--images', metavar='DIR', help='folder of images to search on, in place of the one in the config')
    cli.add_files_arguments(parser, listed=False)
    cli.add_resolution_argument(parser)
    parser.add_argument('--batch-size', type=int, default=64, metavar='N',
                        help='labelled images a batch (default: %(default)s)')
    parser.add_argument('--max-images', type=int, metavar='N', help='score on at most N images of train/ and N of val/')
    parser.add_argument('--workers', type=int, default=2, metavar='N',
                        help='processes that read labelled images (default: %(default)s)')
    parser.add_argument('-k', type=int, default=20, metavar='N', help='neighbours of knn (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of all that is drawn (default: %(default)s)')
    parser.add_argument('--resamples', type=int, default=1000, metavar='N', help='of the bootstrap (default: %(default)s)')
    parser.add_argument('--resume', action='store_true', help='go on with what the work dir holds')
    cli.add_config_arguments(parser)
    arguments = parser.parse_args()

    if arguments.score is None:
        arguments.score = [] if arguments.scores else ['knn']
    arguments.score = list(dict.fromkeys(arguments.score))
    if arguments.score and not arguments.data:
        raise UserError(f"--score {' '.join(arguments.score)} needs --data DIR, with train/CLASS/ and val/CLASS/; or give your "
                        'own scores by --scores FILE')
    if arguments.rivals is not None and not (arguments.checkpoint and arguments.data):
        raise UserError('--rivals needs CONFIG, CHECKPOINT and --data DIR, with train/CLASS/ and val/CLASS/')
    arguments.rivals = [] if arguments.rivals is None else list(dict.fromkeys(arguments.rivals)) or list(RIVALS)
    if arguments.checkpoint is None and (arguments.score or not arguments.ranking):
        raise UserError('give CONFIG and CHECKPOINT; only --ranking together with --scores needs neither')
    if arguments.measures and arguments.ranking:
        raise UserError('--measures searches by each of them, and --ranking is a search that was; leave one out')
    arguments.measures = list(dict.fromkeys(arguments.measures or []))
    if arguments.num < MIN_ARCHS:
        raise UserError(f'--num is {arguments.num}; a rank correlation needs {MIN_ARCHS} subnets or more, and 50 to say much')
    if arguments.workers < 0:
        raise UserError(f'--workers is {arguments.workers}; give 0 or more')
    if arguments.resamples < 1 or arguments.seed < 0:
        raise UserError(f'--resamples is {arguments.resamples} and --seed {arguments.seed}; give 1 or more, and 0 or more')
    return arguments


def read_supernet(arguments: argparse.Namespace) -> tuple[Config, dict, dict] | tuple[None, None, None]:
    """Config, checkpoint and what it says of itself, if they are given."""
    if arguments.checkpoint is None:
        return None, None, None
    config = cli.load_config(arguments)
    check_search_config(config, arguments.config)
    cli.set_images(config, 'test_dataloader', arguments, arguments.images, '--images')
    checkpoint = load_checkpoint(arguments.checkpoint)
    return config, checkpoint, read_supernet_meta(checkpoint, arguments.checkpoint)


def search(config: Config, arguments: argparse.Namespace, folder: Path, settings: dict) -> pd.DataFrame:
    """The ranking by the config's measure; or by each of ``--measures``, whose tasks are named e.g. ``z (paper)``."""
    tasks = arguments.tasks or list(TASKS)
    if not arguments.measures:
        return run_search(config, arguments.checkpoint, folder / 'search', tasks, settings)
    rankings = [run_search(config, arguments.checkpoint, folder / f'search_{measure}', tasks, dict(settings, measure=measure))
                .rename(columns={task: f'{task} ({measure})' for task in tasks}) for measure in arguments.measures]
    costs = ['arch', 'group', 'flops', 'params']
    return functools.reduce(lambda table, other: table.merge(other, on=costs), rankings)


def candidates_of(ranking: pd.DataFrame | None, config: Config, meta: dict) -> tuple[Sequence[Arch], Sequence]:
    """The archs to draw from, and the group of each: those of the ranking, or else of the space."""
    if ranking is not None:
        ranking = ranking.assign(arch=list(map(Arch.parse, ranking['arch']))).sort_values('arch')
        return ranking['arch'].tolist(), ranking['group']
    space, stem = meta['space'], (meta['stem_kernel'], in_channels_of(meta))
    costs = space.costs(config.test_cfg.get('resolution', 224), *stem)
    return space, space_groups(config, space, *stem).assign(costs['flops'])


def choose_archs(own: pd.DataFrame | None, ranking: pd.DataFrame | None, config: Config | None, meta: dict | None,
                 arguments: argparse.Namespace, say: Callable[[str], None]) -> list[Arch]:
    """Those of the user's own scores (and the ranking, if there is one); or ``--num`` of the ranking or the space."""
    if own is None:
        candidates, groups = candidates_of(ranking, config, meta)
        if len(candidates) < arguments.num:
            say(f'there are only {len(candidates)} subnets; taking all')
        archs = draw_archs(candidates, groups, arguments.num, arguments.seed)
    else:
        scored = own['arch'] if ranking is None else own['arch'][own['arch'].isin(ranking['arch'])]
        if not len(scored):
            raise UserError('no arch of --scores is in --ranking; search these archs with gaia-ssl search --archs FILE')
        if len(scored) < len(own):
            say(f'{len(own) - len(scored)} of {len(own)} scored archs are not in the ranking; they are left out')
        archs = list(map(Arch.parse, scored))
    for arch in archs if meta is not None else ():
        meta['space'].check_fits(arch)
    if len(archs) < MIN_ARCHS:
        raise UserError(f'a rank correlation needs {MIN_ARCHS} subnets or more, and 50 to say much; there are {len(archs)}')
    return archs


def make_judge(scores: Sequence[str], arguments: argparse.Namespace, meta: dict, config: Config) -> SubnetJudge:
    """The judge on the images of ``--data``."""
    train, val = (labelled(arguments, meta, config, split, arguments.max_images) for split in ('train', 'val'))
    train.keep = val.keep = train.kept_bytes + val.kept_bytes <= KEEP_BYTES
    return SubnetJudge(train, val, scores, arguments.k, arguments.seed)


def labelled(arguments: argparse.Namespace, meta: dict, config: Config, split: str, max_images: int | None) -> CenterCrops:
    """Images of a split of ``--data``, ``max_images`` of them at most."""
    return CenterCrops(str(Path(arguments.data, split)), meta['mean'], meta['std'], meta['to_rgb'],
                       config.test_cfg.get('resolution', 224), arguments.batch_size, max_images, with_label=True,
                       device='cuda' if torch.cuda.is_available() else 'cpu', num_workers=arguments.workers,
                       choice=cli.file_choice(arguments), pixel_range=PixelRange.of(meta.get('pixel_range')))


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
