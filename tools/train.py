"""Train a supernet by self-supervised learning.

    gaia-ssl train gaia_ssl::data/mocov2_r_supernet.py --amp --data /path/to/images
    torchrun --nproc_per_node 8 -m gaia_ssl train CONFIG --launcher pytorch      # or tools/dist_train.sh CONFIG 8
"""

import argparse
import pathlib

import import_guard  # noqa: F401

from mmengine.dist import is_main_process
from torch.cuda import is_available as has_cuda

from gaia_ssl import cli
from gaia_ssl.checkpoint import latest_checkpoint, load_checkpoint
from gaia_ssl.datasets.measure_pixels import Pixels
from gaia_ssl.engine.auto_settings import count_images, fill_auto, leaves_to_data
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.engine.device_views import make_views_on_device
from gaia_ssl.engine.hooks.sandwich_sampler_hook import check_training
from gaia_ssl.engine.pixels import set_pixels
from gaia_ssl.engine.resume import check_resume, check_resumed_run
from gaia_ssl.engine.start import check_load_from, set_start
from gaia_ssl.errors import UserError
from gaia_ssl.files import check_folder, claim_folder
from gaia_ssl.precision import computes_bfloat16
from gaia_ssl.terminal import say

CHECKPOINTS = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG', help=cli.CONFIG_HELP)
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from CHECKPOINT, or from the latest one in the work dir')
    parser.add_argument('--start', metavar='FILE',
                        help='start from a pretrained ResNet: a checkpoint, torchvision://resnet50, or an address')
    parser.add_argument('--amp', action='store_true', help='mixed precision: bfloat16, or float16 on a GPU without it')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate to the total batch size')
    parser.add_argument('--pixels', metavar='FILE',
                        help='images of any number of channels and bits, as gaia-ssl pixels measured them into FILE')
    cli.add_data_argument(parser)
    cli.add_files_arguments(parser)
    cli.add_resolution_argument(parser)
    cli.add_runner_arguments(parser)
    arguments = parser.parse_args()

    if arguments.start and arguments.resume:
        raise UserError('--start and --resume: a resumed run has its weights already; leave one out')
    config = cli.load_config(arguments)
    cli.set_images(config, 'train_dataloader', arguments, arguments.data)
    set_pixels(config, Pixels.read(arguments.pixels) if arguments.pixels else None)
    if config.get('resume') and not arguments.resume:
        arguments.resume = config.get('load_from') or 'auto'
    earlier = dict(resume=bool(arguments.resume), overwrite=arguments.overwrite)
    check_folder(config.work_dir, *CHECKPOINTS, **earlier)
    if arguments.resume:
        config.load_from = latest_checkpoint(config.work_dir) if arguments.resume == 'auto' else arguments.resume
        config.resume = config.load_from is not None
    checkpoint = None
    if config.get('load_from'):
        checkpoint = load_checkpoint(config.load_from)  # refuses what is broken or would run code, before the run starts
        if arguments.resume:
            check_resume(checkpoint, config.load_from)
        start = pathlib.Path(config.load_from).resolve()
        replaced = start.parent == pathlib.Path(config.work_dir).resolve() and any(map(start.match, CHECKPOINTS))
        if replaced and arguments.overwrite and not arguments.resume:
            raise UserError(f'{config.load_from} would be removed by --overwrite; choose another --work-dir')
    set_start(config, arguments.start, checkpoint)
    if leaves_to_data(config):
        images = count_images(config)
        filled = fill_auto(config, images, cli.count_processes(arguments.launcher), has_cuda())
        if cli.is_first_process():
            say(f'settings for {images:,} images: ' + ', '.join(f'{key}={value}' for key, value in filled.items()))
    wanted = config.get('device_views', False)
    if (has_cuda() if wanted is None else wanted) and not make_views_on_device(config) and wanted:
        raise UserError('device_views=True: nothing that the device could do; it takes a gaia_ssl.ViewPreprocessor, and '
                        'changes of colour, blur or flips at the end of the views of a MultiView')
    if arguments.amp:
        float16 = has_cuda() and not computes_bfloat16()
        config.optim_wrapper.type = 'AmpOptimWrapper' if float16 else 'gaia_ssl.AutocastOptimWrapper'
    if arguments.auto_scale_lr:
        if not config.get('auto_scale_lr', {}).get('base_batch_size'):
            raise UserError('--auto-scale-lr: the config does not say for which batch its learning rate is; add '
                            'auto_scale_lr=dict(base_batch_size=…), or leave the flag out')
        config.auto_scale_lr.enable = True
    if config.get('sync_bn'):
        raise UserError(f"sync_bn='{config.sync_bn}' would put static layers in place of the supernet's; say "
                        "model.backbone.norm_cfg=dict(type='SyncBN')")
    cli.join_processes(arguments.launcher)
    runner = build_runner(config)
    check_training(runner)
    if config.get('resume'):
        check_resumed_run(runner, checkpoint, config.load_from)
    if checkpoint is not None:
        check_load_from(runner.model, checkpoint, config.load_from)
    if is_main_process():
        claim_folder(config.work_dir, *CHECKPOINTS, **earlier)  # only now: what has failed by here replaces nothing
    runner.train()


if __name__ == '__main__':
    cli.run(main, f'{cli.RESUME} (in place of --start, if it has that)')
