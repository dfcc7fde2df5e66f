"""Make a supernet of the paper's own code one of gaia_ssl.

    gaia-ssl convert SOURCE OUT --config CONFIG

SOURCE holds encoder_q.*, encoder_k.* and the queue; search and export take OUT.
"""

import argparse
from pathlib import Path

import import_guard  # noqa: F401

from mmengine.registry import init_default_scope

from gaia_ssl import cli
from gaia_ssl.checkpoint import file_hash, load_checkpoint, save_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import SupernetMoCo
from gaia_ssl.models.reference_checkpoint import convert_reference
from gaia_ssl.registry import MODELS
from gaia_ssl.terminal import say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SOURCE', help="checkpoint of the paper's own code")
    parser.add_argument('out', metavar='OUT', help='checkpoint to write')
    parser.add_argument('--config', default='gaia_ssl::data/mocov2_r_supernet.py', metavar='CONFIG',
                        help="config of the same supernet (default: the paper's, %(default)s)")
    parser.add_argument('--overwrite', action='store_true', help='replace OUT')
    arguments = parser.parse_args()

    out = Path(arguments.out)
    if out.is_dir() or (out.exists() and not arguments.overwrite):
        raise UserError(f'{out} exists already; replace a file with --overwrite, or choose another')
    source = load_checkpoint(arguments.source, with_config=True)
    model = build_supernet(arguments.config)
    converted = convert_reference(source, model, arguments.source)
    converted['meta']['converted_from'] = dict(name=Path(arguments.source).name, sha256=file_hash(arguments.source))
    save_checkpoint(converted, out)
    space = model.backbone.space
    say(f'{out}: {len(converted["state_dict"])} tensors, a supernet of {len(space)} archs, {space.min} … {space.max}')


def build_supernet(path: str) -> SupernetMoCo:
    """The model of a config."""
    config = cli.read_config(path)
    init_default_scope(config.get('default_scope', 'mmpretrain'))
    if 'SupernetMoCo' not in str(config.get('model', {}).get('type')):
        raise UserError(f'{path}: its model is no SupernetMoCo; see configs/data')
    return MODELS.build(config.model)


if __name__ == '__main__':
    cli.run(main)
