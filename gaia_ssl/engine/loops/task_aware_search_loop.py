"""The search as a test loop of mmengine's Runner."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, barrier, get_rank, get_world_size, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader

from gaia_ssl.checkpoint import file_hash, load_checkpoint
from gaia_ssl.datasets.unreadable import UnreadableImages
from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path
from gaia_ssl.models.supernet_meta import read_supernet_meta
from gaia_ssl.progress import Progress
from gaia_ssl.registry import LOOPS
from gaia_ssl.search.evaluator import ForwardEvaluator
from gaia_ssl.search.journal import ScoreJournal
from gaia_ssl.search.ranking import make_ranking, winners
from gaia_ssl.search.report import plot_pareto
from gaia_ssl.search.selection import select_archs
from gaia_ssl.search.task import features_of
from gaia_ssl.space import Arch, FlopsGroups

DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


@LOOPS.register_module()
class TaskAwareSearchLoop(BaseLoop):
    """Scores subnets on the images of the test data loader and writes the ranking into the work folder.

    Writes ``ranking.csv`` (a row an arch), ``best.json`` (the winner of each task and group, and how it was found) and
    ``pareto.png``; and, as it goes, ``scores/``, from which a stopped search continues. Across processes, each scores
    every n-th image batch; the result does not depend on their number (on CPUs: given equal threads a process).

    Args:
        runner, dataloader, evaluator: Given by the Runner. The evaluator is not used: ``test_evaluator = []``.
        checkpoint: The supernet's checkpoint.
        tasks: Which of ``z``, ``c5``, ``c4-c5`` and ``c2-c5`` to rank for; the ranking is sorted by the first.
        archs: A number to draw from each group, ``'all'``, or a list of archs.
        num_images: Score on so many images, evenly spaced over the data; None takes all.
        group_edges: Bounds of the budget groups in multiply-adds; default the paper's, 1-2G to 7-8G.
        resolution: Image side for the multiply-adds, not for the images.
        temperature: Of the relations (tau).
        dtype: Of the forward passes, ``float32`` or ``bfloat16``.
        seed: Of the draw of archs.
        max_unreadable: The share of unreadable images above which the search stops.
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: dict | DataLoader,
                 evaluator: Evaluator | None = None,
                 checkpoint: str | None = None,
                 tasks: Sequence[str] = ('c2-c5', ),
                 archs: str | int | Sequence[str] = 100,
                 num_images: int | None = None,
                 group_edges: Sequence[float] | None = None,
                 resolution: int = 224,
                 temperature: float = 0.2,
                 dtype: str = 'float32',
                 seed: int = 0,
                 max_unreadable: float = 0.01) -> None:
        super().__init__(runner, dataloader)
        if checkpoint is None:
            raise UserError('no checkpoint to search; run tools/search.py CONFIG CHECKPOINT')
        if num_images is not None and num_images < 1:
            raise UserError(f'num_images is {num_images}; give 1 or more, or None for all')
        if dtype not in DTYPES:
            raise UserError(f"dtype is '{dtype}'; choose from {', '.join(DTYPES)}")
        self.checkpoint = checkpoint
        self.tasks = list(tasks)
        self.features = features_of(self.tasks)
        self.groups = FlopsGroups.paper() if group_edges is None else FlopsGroups(tuple(group_edges))
        self.archs = archs
        self.num_images = num_images
        self.resolution = resolution
        self.temperature = temperature
        self.dtype = dtype
        self.seed = seed
        self.max_unreadable = max_unreadable
        self.model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.folder = pathlib.Path(runner.work_dir)

    def run(self) -> dict[str, float]:
        """Search; returns the similarity of each task's and group's winner, e.g. ``{'c2-c5/3-4G': -0.012}``."""
        self._load_weights()
        stem_kernel = self.model.backbone.stem_kernel
        flops = self.model.backbone.space.costs(self.resolution, stem_kernel)['flops']
        archs = select_archs(self.model.backbone.space, self.groups, self.archs, flops, self.seed)
        batches = self._batches()
        settings = self._settings(archs, batches)
        journal = self._open_journal(settings)
        self._score(archs, batches, journal)
        scores = journal.read(len(batches))
        ranking = make_ranking(archs, scores, self.features, self.tasks, self.groups, self.resolution, stem_kernel)
        best = winners(ranking, self.tasks)
        if is_main_process():
            self._write(ranking, best, settings)
        return {f"{row['task']}/{row['group']}": float(row[row['task']]) for row in best.to_dict('records')}

    def _load_weights(self) -> None:
        checkpoint = load_checkpoint(self.checkpoint)
        space, own = read_supernet_meta(checkpoint, self.checkpoint)['space'], self.model.backbone.space
        if space != own:
            raise UserError(f'{self.checkpoint}: trained on the space {space.min} … {space.max} of {len(space)} archs, but the '
                            f'config has {own.min} … {own.max} of {len(own)}; use the config it was trained with')
        try:
            self.model.load_state_dict(checkpoint['state_dict'])
        except RuntimeError as error:
            raise UserError(f'{self.checkpoint}: does not match the model of the config: '
                            f"{' '.join(str(error).split())[:300]}") from error

    def _batches(self) -> list[list[int]]:
        size, total = self.dataloader.batch_size, len(self.dataloader.dataset)
        count = min(total, self.num_images or total)
        indices = [index * total // count for index in range(count)]
        return [indices[start:start + size] for start in range(0, count, size)]

    def _settings(self, archs: Sequence[Arch], batches: Sequence[Sequence[int]]) -> dict[str, Any]:
        dataset = self.dataloader.dataset
        paths = [dataset.get_data_info(index)['img_path'] for batch in batches for index in batch]
        return dict(
            checkpoint=self.checkpoint,
            checkpoint_sha256=file_hash(self.checkpoint),
            images=len(paths),
            image_list_sha256=hashlib.sha256(json.dumps(paths).encode()).hexdigest(),
            batch_size=self.dataloader.batch_size,
            archs=len(archs),
            arch_list_sha256=hashlib.sha256(' '.join(map(str, archs)).encode()).hexdigest(),
            features=list(self.features),
            temperature=self.temperature,
            dtype=self.dtype,
        )

    def _open_journal(self, settings: dict[str, Any]) -> ScoreJournal:
        folder = self.folder / 'scores'
        if is_main_process():
            ScoreJournal(folder, settings)  # begins the folder before the other processes look
        barrier()
        return ScoreJournal(folder, settings)

    def _score(self, archs: Sequence[Arch], batches: Sequence[Sequence[int]], journal: ScoreJournal) -> None:
        mine = [batch for batch in range(len(batches)) if batch not in journal]
        barrier()  # nobody writes before everybody has looked
        mine = mine[get_rank()::get_world_size()]
        logger = self.runner.logger
        num_images = sum(map(len, batches))
        logger.info(f'{len(archs)} archs on {num_images} images in {len(batches)} batches, {len(mine)} of them to do here')
        # The Runner's loader deals out images by process; here whole batches are, so that they are always the same.
        loader = DataLoader(self.dataloader.dataset, batch_sampler=[batches[batch] for batch in mine],
                            num_workers=self.dataloader.num_workers, collate_fn=self.dataloader.collate_fn)
        evaluator = ForwardEvaluator(self.model, self.features, self.temperature, DTYPES[self.dtype])
        progress = Progress(len(archs) * len(mine), 'archs', logger.info)
        unreadable = UnreadableImages(self.max_unreadable, total=num_images)
        for batch, data in zip(mine, loader, strict=True):
            for sample in data['data_samples']:
                for path in unreadable.update(sample.get('unreadable', ())):
                    logger.warning(f'unreadable image, skipped: {path}')
            images = self.model.data_preprocessor(data, False)['inputs']
            images = images[0] if isinstance(images, list) else images
            journal.write(batch, evaluator.score(images, archs, progress.advance).numpy())
        if any(all_gather_object(len(unreadable.paths))):
            logger.warning(unreadable.summary())
        barrier()

    def _write(self, ranking, best, settings: dict[str, Any]) -> None:
        with atomic_path(self.folder / 'ranking.csv') as temporary:
            ranking.to_csv(temporary, index=False)
        records = {}
        for row in best.to_dict('records'):
            records.setdefault(row['task'], {})[row['group']] = dict(
                arch=row['arch'], flops=row['flops'], params=row['params'], similarity=row[row['task']])
        with atomic_path(self.folder / 'best.json') as temporary:
            temporary.write_text(json.dumps(dict(best=records, search=settings), indent=2), encoding='utf-8')
        plot_pareto(ranking, self.tasks, self.folder / 'pareto.png', self.resolution)
