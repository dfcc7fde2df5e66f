"""Measure the latency of every subnet on this machine, block by block.

    gaia-ssl latency OUT --config gaia_ssl::data/mocov2_r_supernet.py --device cuda --batch-size 32 --dtype float16

The table gives any subnet's latency as a sum, and is checked on whole networks that are measured too.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import import_guard  # noqa: F401

from rich.box import SIMPLE
from rich.table import Table

from gaia_ssl import DATA_SPACE, ArchSpace, cli
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import check_latency, measure_latency
from gaia_ssl.evaluation.latency import DTYPES
from gaia_ssl.space import LatencyTable
from gaia_ssl.terminal import PlainConsole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', metavar='OUT', help='JSON file to write the table to')
    parser.add_argument('--config', metavar='CONFIG',
                        help="config of the supernet, for its space and stem (default: the paper's)")
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu',
                        help='what to measure on (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, metavar='N', help='images a batch (default: %(default)s)')
    parser.add_argument('--resolution', type=int, default=224, metavar='N',
                        help='side of the images in pixels (default: %(default)s)')
    parser.add_argument('--dtype', choices=DTYPES, default='float32', help='of weights and images (default: %(default)s)')
    parser.add_argument('--threads', type=int, metavar='N', help="threads of the CPU (default: torch's choice)")
    parser.add_argument('--repeats', type=int, default=10, metavar='N', help='rounds of measuring (default: %(default)s)')
    parser.add_argument('--check', type=int, default=30, metavar='N',
                        help='whole networks to check the sums on; 0 for none (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace the table in OUT')
    arguments = parser.parse_args()

    out = Path(arguments.out)
    if out.is_dir():
        raise UserError(f'{out} is a folder; give a file for the table')
    if out.exists() and not arguments.overwrite:
        raise UserError(f'{out} exists already; replace it with --overwrite, or choose another file')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()  # rather than after minutes of measuring
    except OSError as error:
        raise UserError(f'{out}: cannot be written there ({error.strerror}); choose another file') from error
    if arguments.check < 0:
        raise UserError(f'check is {arguments.check}; give a number of networks, or 0 for no check')
    space, stem_kernel = supernet_space(arguments.config) if arguments.config else (DATA_SPACE, 7)
    table = measure_latency(space, stem_kernel, arguments.device, arguments.batch_size, arguments.resolution,
                            arguments.dtype, arguments.threads, arguments.repeats)
    console = PlainConsole()
    if arguments.check:
        _, summary = check_latency(table, space, arguments.check, repeats=arguments.repeats)
        table = dataclasses.replace(table, provenance=dict(table.provenance, check=summary))
        console.print(check_table(table))
    table.save(out)
    console.print(f'{len(table.milliseconds)} blocks, {len(space)} subnets: {out}', soft_wrap=True)


def supernet_space(path: str) -> tuple[ArchSpace, int]:
    """Space and stem kernel of the supernet's backbone in a config."""
    config = cli.read_config(path)
    try:
        backbone = config.model.backbone
        return ArchSpace.read(backbone.space), backbone.get('stem_kernel', 7)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f'{path}: has no model.backbone.space ({error}); give the config of a supernet') from error


def check_table(table: LatencyTable) -> Table:
    """The check's summary for the terminal."""
    conditions = table.provenance
    check = conditions['check']
    rows = {
        'device': f"{conditions['device']}, {conditions['threads']} threads",
        'network': f"{conditions['dtype']}, batch {conditions['batch_size']}, {conditions['resolution']} px",
        'networks checked': f"{check['num_archs']}",
        'median absolute error': f"{check['median_abs_error']:.1%}",
        'largest absolute error': f"{check['max_abs_error']:.1%}",
        'mean error (bias)': f"{check['mean_error']:+.1%}",
        'spread of the timings': f"{conditions['spread']:.1%} (blocks), {check['spread']:.1%} (networks)",
        'rank correlation': '-' if check['spearman'] is None else f"{check['spearman']:.3f}",
    }
    rich_table = Table(title='Sum of blocks against whole networks', box=SIMPLE, show_header=False)
    for name, value in rows.items():
        rich_table.add_row(name, value)
    return rich_table


if __name__ == '__main__':
    cli.run(main)
