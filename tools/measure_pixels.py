"""Measure the range, mean and standard deviation of images of any number of channels and bits.

    gaia-ssl pixels OUT.json --data DIR                     # percentiles 0.1 and 99.9 become black and white
    gaia-ssl pixels OUT.json --data DIR --range 0 4095      # 12 bits in 16
    gaia-ssl train CONFIG --data DIR --pixels OUT.json      # the checkpoint keeps it, and the other tools find it there
"""

import argparse
from pathlib import Path

import import_guard  # noqa: F401

from rich.table import Table

from gaia_ssl import cli
from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.channel_pipeline import CHANNEL_EXTENSIONS
from gaia_ssl.datasets.measure_pixels import Measured, measure_pixels
from gaia_ssl.errors import UserError
from gaia_ssl.terminal import PlainConsole, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', metavar='OUT.json', help='file to write')
    parser.add_argument('--data', metavar='DIR', required=True, help='folder of images')
    cli.add_files_arguments(parser)
    parser.add_argument('--range', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help='what becomes black and white in every channel (default: percentiles; of 8 bits, 0 255)')
    parser.add_argument('--percentiles', type=float, nargs=2, metavar=('LOW', 'HIGH'),
                        help="that of each channel's values (default: 0.1 99.9)")
    parser.add_argument('--max-images', type=int, default=200, metavar='N', help='images to look at (default: %(default)s)')
    parser.add_argument('--max-unreadable', type=float, default=0.01, metavar='SHARE',
                        help='share of unreadable images to accept (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT.json')
    arguments = parser.parse_args()

    if Path(arguments.out).exists() and not arguments.overwrite:
        raise UserError(f'{arguments.out} is there already; replace it with --overwrite')
    if arguments.max_images < 1:
        raise UserError(f'--max-images is {arguments.max_images}; give 1 or more')
    images = ImageFolder(arguments.data, pipeline=[dict(type='gaia_ssl.LoadChannels', low=[0.0], high=[1.0])],
                         extensions=CHANNEL_EXTENSIONS, **cli.file_choice(arguments).arguments())
    for line in images.described:
        say(line)
    paths = [images.get_data_info(index)['img_path'] for index in range(len(images))]
    measured = measure_pixels(paths, arguments.max_images, arguments.range, arguments.percentiles, arguments.max_unreadable)
    measured.pixels.write(arguments.out)
    console = PlainConsole(100)
    console.print(table(measured))
    console.print(f'written: {arguments.out}; gaia-ssl train CONFIG --data DIR --pixels {arguments.out}', soft_wrap=True)


def table(measured: Measured) -> Table:
    """A row a channel."""
    pixels = measured.pixels
    result = Table(title=f"{measured.images} images of {' and '.join(measured.dtypes)}", title_justify='left')
    for name in ('channel', 'smallest', 'largest', 'becomes 0', 'becomes 255', 'mean', 'std'):
        result.add_column(name, justify='right')
    columns = (measured.smallest, measured.largest, pixels.range.low, pixels.range.high, pixels.mean, pixels.std)
    for channel, numbers in enumerate(zip(*columns, strict=True)):
        result.add_row(str(channel), *(f'{number:.6g}' for number in numbers))
    return result


if __name__ == '__main__':
    cli.run(main)
