"""Which files of a folder batch norm is calibrated on: those that the search, or the training, was shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config

from gaia_ssl.datasets.channel_pipeline import CHANNEL_EXTENSIONS
from gaia_ssl.datasets.image_files import find_images
from gaia_ssl.export.backbone_config import LOADERS
from gaia_ssl.file_choice import ALL_FILES, FileChoice


def choose_files(given: FileChoice, recorded: Mapping[str, Any] | None, by: str, images: str,
                 report: Callable[[str], None]) -> FileChoice:
    """``given``, or else the patterns that are recorded, where they leave any image; what differs is reported.

    Args:
        given: What the user asked for.
        recorded: What the search or the training took, as :meth:`FileChoice.arguments` gives it.
        by: Which of them.
        images: The folder of images.
        report: Where lines for the user go.
    """
    earlier = FileChoice.of(recorded)
    if given:
        if dataclasses.replace(earlier, listed=given.listed) != given:
            report(f'note: {by} took {earlier}, and batch norm is calibrated on {given}')
        return given
    if earlier.listed:
        report(f'note: {by} took only the images that {earlier.listed} lists; give --list for the same')
    patterns = earlier.patterns
    if not patterns:
        return patterns
    if not find_images(images, CHANNEL_EXTENSIONS, patterns).paths:
        report(f'note: {by} took {patterns}, which leaves no image in {images}; batch norm is calibrated on all of them')
        return ALL_FILES
    report(f"{patterns}, as in {by}; --include '*' takes all")
    return patterns


def set_patterns(config: Config, choice: FileChoice) -> None:
    """Let the image folders that ``config`` reads pass the patterns, too; it is changed."""
    patterns = choice.patterns.arguments()
    for name in LOADERS:
        dataset = config[name].dataset
        if dataset.get('type') == 'gaia_ssl.ImageFolder':
            dataset.update(patterns)
