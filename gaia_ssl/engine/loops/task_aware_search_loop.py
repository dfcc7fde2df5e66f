"""The search as a test loop of mmengine's Runner."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from torch.utils.data import DataLoader

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.unit_scoring import UnitScoring
from gaia_ssl.engine.unwrap import unwrapped
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import SupernetDistill
from gaia_ssl.models.supernet_meta import check_supernet, supernet_meta
from gaia_ssl.precision import computes_bfloat16, full_float32
from gaia_ssl.registry import LOOPS
from gaia_ssl.search.journal import ScoreJournal
from gaia_ssl.search.measures import MIN_IMAGES
from gaia_ssl.search.outcome import Outcome, write_outcome
from gaia_ssl.search.plan import ImageBatches, amount, arch_list, describe_cost, expected_bytes, search_settings
from gaia_ssl.search.prefix_evaluator import PrefixEvaluator
from gaia_ssl.search.race import FIRST_ROUND, Race, RaceRules
from gaia_ssl.search.selection import Selection, select_archs
from gaia_ssl.search.task import measure_for, quantities_of, quantities_of_task, relates_images
from gaia_ssl.search.task_scores import scales_of
from gaia_ssl.space import Budget, FlopsGroups, LatencyTable

SCORES = 'scores'
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


@LOOPS.register_module()
class TaskAwareSearchLoop(BaseLoop):
    """Scores subnets on the images of the test data loader and writes the ranking into the work folder.

    Writes ``ranking.csv`` (a row an arch), ``best.json`` (the winner of each task and group, how far it can be trusted,
    and how it was found), ``pareto.png`` and ``report.html``; and, as it goes, ``scores/``, from which a stopped search
    continues. The work is dealt out to processes by image batch and subtree; on CPUs the result does not depend, to the
    bit, on the number of processes and threads.

    Args:
        runner, dataloader, evaluator: Given by the Runner. The evaluator is not used: ``test_evaluator = []``.
        checkpoint: The supernet's checkpoint.
        tasks: Which of ``z``, ``c5``, ``c4-c5`` and ``c2-c5`` to rank for; the ranking is sorted by the first.
        measure: What the tasks' features are compared by: ``paper``, its relations between positions and cosine of
            embeddings; ``relations`` between images, ``readout``, ``neighbours`` or ``cka``; or ``combined``, the first two of
            these. Default what predicts a task best: ``relations`` for ``z``, the paper's for the others.
        archs: ``'all'``, a number to draw from each group, or a list of archs.
        race: Drop archs that cannot win any more (:class:`~gaia_ssl.search.race.Race`). The ranking then has those that were
            left, and the winners are the whole ranking's, or inside the indifference, with 95 % confidence.
        indifference: Of a race: by less than this, in the unit of the similarity, two archs need not be told apart.
        budgets: Ranges that the archs must lie in, e.g. ``dict(flops='3e9:4e9', params=':26e6', latency_ms=':12')``.
        latency_table: File that tools/measure_latency.py wrote; gives the ranking a column ``latency_ms``.
        num_images: Score on so many images, evenly spaced over the data; None takes all.
        group_edges: Bounds of the groups in multiply-adds; default the paper's, 1-2G to 7-8G, where the space has archs
            there. With budgets and no edges, all archs within the budgets are one group.
        resolution: Image side for the multiply-adds, not for the images.
        reference: What subnets are compared with: ``'max'``, the EMA at the max arch, or ``'teacher'``, the frozen teacher of
            a :class:`~gaia_ssl.models.algorithms.SupernetDistill`.
        temperature: Of the paper's relations (tau).
        dtype: Of the forward passes, ``float32`` or ``bfloat16``; default bfloat16 where it is native, as the two rank alike
            (docs/results.md); a search that goes on keeps its own.
        seed: Of the draw of archs, and of the bootstrap.
        threads: On CPUs, so many parts of the tree are walked at once; default as many as torch's threads.
        max_unreadable: The share of unreadable images above which the search stops.
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: dict | DataLoader,
                 evaluator: Evaluator | None = None,
                 checkpoint: str | None = None,
                 tasks: Sequence[str] = ('c2-c5', ),
                 measure: str | None = None,
                 archs: str | int | Sequence[str] = 'all',
                 race: bool = False,
                 indifference: float = 0.0,
                 budgets: Mapping[str, str] | None = None,
                 latency_table: str | None = None,
                 num_images: int | None = None,
                 group_edges: Sequence[float] | None = None,
                 resolution: int = 224,
                 reference: str = 'max',
                 temperature: float = 0.2,
                 dtype: str | None = None,
                 seed: int = 0,
                 threads: int | None = None,
                 max_unreadable: float = 0.01) -> None:
        super().__init__(runner, dataloader)
        if checkpoint is None:
            raise UserError('no checkpoint to search; run tools/search.py CONFIG CHECKPOINT')
        if isinstance(tasks, str):
            tasks = [tasks]
        if dtype is not None and dtype not in DTYPES:
            raise UserError(f"dtype is '{dtype}'; choose from {', '.join(DTYPES)}")
        if threads is not None and threads < 1:
            raise UserError(f'threads is {threads}; give 1 or more')
        if reference not in ('max', 'teacher'):
            raise UserError(f"reference is '{reference}'; choose 'max', the largest subnet, or 'teacher', the frozen one")
        self.checkpoint = checkpoint
        self.tasks = list(tasks)
        self.measure = measure
        self.quantities = quantities_of(self.tasks, measure)
        self.archs = archs
        self.budgets = [Budget.parse(quantity, text) for quantity, text in (budgets or {}).items()]
        self.latency = LatencyTable.load(latency_table) if latency_table else None
        self.groups = None if group_edges is None else FlopsGroups(tuple(group_edges))
        self.batches = ImageBatches(self.dataloader, num_images)
        self._check_batches()
        self.race = RaceRules(self.tasks, measure, indifference, seed) if race else None
        self._check_race(indifference)
        self.resolution = resolution
        self.reference = reference
        self.temperature = temperature
        self.dtype = dtype
        self.seed = seed
        self.threads = threads
        self.max_unreadable = max_unreadable
        self.model = unwrapped(runner.model)
        self.folder = pathlib.Path(runner.work_dir)
        if reference == 'teacher' and not isinstance(self.model, SupernetDistill):
            raise UserError(f"reference is 'teacher', but a {type(self.model).__name__} has no frozen one; use 'max'")

    def _check_batches(self) -> None:
        smallest = min(map(self.batches.size, range(len(self.batches))))
        related = [task for task in self.tasks if any(map(relates_images, quantities_of_task(task, self.measure)))]
        if related and smallest < MIN_IMAGES:
            raise UserError(f'task {related[0]} relates the images of a batch to one another and needs {MIN_IMAGES} or '
                            f'more in each, but one has {smallest} of {self.batches.num_images}: raise '
                            'test_dataloader.batch_size, give more images, or take test_cfg.measure=paper')

    def _check_race(self, indifference: float) -> None:
        if not isinstance(indifference, int | float) or not 0 <= indifference < math.inf:
            raise UserError(f'indifference is {indifference}; give 0 or more, in the unit of the similarity')
        if indifference and not self.race:
            raise UserError('indifference ends a race, and this search is none; set race=True (--race)')
        if self.race and len(self.batches) <= FIRST_ROUND:
            raise UserError(f'a race needs more than {FIRST_ROUND} image batches, but {self.batches.num_images} images in '
                            f'batches of {self.batches.batch_size} make {len(self.batches)}: give more images, lower '
                            'test_dataloader.batch_size, or search in full (--full)')

    @full_float32()
    def run(self) -> dict[str, float]:
        """Search; returns the similarity of each task's and group's winner, e.g. ``{'c2-c5/3-4G': -0.012}``."""
        for line in self.batches.described():
            self.runner.logger.info(line)
        self.dtype = dtype = self._agree_on_dtype()
        if self.reference == 'teacher':
            self.model.frozen_teacher.load()
        self._load_weights()
        if self.latency is not None and self.model.backbone.in_channels != 3:
            raise UserError(f'latencies are measured with images of three channels, and these have '
                            f'{self.model.backbone.in_channels}; leave --latency-table out')
        if self.latency is not None and self.latency.provenance.get('resolution') != self.resolution:
            measured = self.latency.provenance.get('resolution')
            self.runner.logger.warning(f'the latencies are of {measured} px, the FLOPs of {self.resolution} px')
        selection = self._select(self.archs)
        settings = search_settings(self.checkpoint, self._model_settings(), self._fingerprint(), self.batches, selection.tree,
                                   self.quantities, self.temperature, dtype, self._device().type)
        if self.race:
            # With what the message that settings differ has room for in front.
            settings['race'] = {'indifference': self.race.indifference} | dataclasses.asdict(self.race)
        best: list[Any] = [None]
        with self._open_journal(self.folder / SCORES, settings) as journal:
            outcome = (self._run_race(selection, self.race, journal, settings) if self.race else
                       self._search_all(selection, journal))
            if outcome is not None:
                journal.check_own()
                best[0] = write_outcome(self.folder, outcome, self.tasks, self.measure, self._found(settings),
                                        self.resolution, self.seed)
        broadcast_object_list(best)
        return best[0]

    def _agree_on_dtype(self) -> str:
        """That of the config, or of the search to go on with, or what the main process's device is fast at."""
        earlier = ScoreJournal.settings_in(self.folder / SCORES).get('dtype')
        agreed = [self.dtype or (earlier if earlier in list(DTYPES) else 'bfloat16' if computes_bfloat16() else 'float32')]
        broadcast_object_list(agreed)
        return agreed[0]

    def _fingerprint(self) -> str:
        """What the images are: all processes that of the main one, which reads them for it."""
        fingerprint = [self.batches.fingerprint(self.runner.logger.info) if is_main_process() else '']
        broadcast_object_list(fingerprint)
        return fingerprint[0]

    def _model_settings(self) -> dict[str, Any]:
        """What of the config changes the features, beside the weights."""
        config = self.runner.cfg.to_dict()  # in which classes, of a pure Python config, are names
        backbone = {name: value for name, value in config['model']['backbone'].items() if name != 'space'}
        meta = supernet_meta(self.model)
        teacher = meta.pop('teacher', None)
        settings = dict(supernet=meta, backbone=backbone)
        return settings if self.reference == 'max' else dict(settings, reference=teacher)

    def _found(self, settings: dict[str, Any]) -> dict[str, Any]:
        """How the winners were found, in plain values."""
        measured = self.latency.provenance if self.latency else {}
        latency = {name: measured.get(name) for name in ('device', 'batch_size', 'resolution', 'dtype', 'threads')}
        return dict(
            checkpoint=self.checkpoint,
            data=self.batches.folder(),
            files=self.batches.files(),
            pixel_range=self.batches.pixel_range(),
            measures={task: measure_for(task, self.measure) for task in self.tasks},
            **settings,
            budgets=[str(budget) for budget in self.budgets],
            group_edges=None if self.groups is None else list(self.groups.edges),
            resolution=self.resolution,
            seed=self.seed,
            latency=', '.join(f'{name} {value}' for name, value in latency.items()) if measured else None)

    def _select(self, archs: str | int | Sequence[str]) -> Selection:
        backbone = self.model.backbone
        return select_archs(backbone.space, archs, self.groups, self.budgets, self.latency, self.resolution,
                            backbone.stem_kernel, self.seed, backbone.in_channels)

    def _load_weights(self) -> None:
        checkpoint = load_checkpoint(self.checkpoint)
        meta, here = check_supernet(checkpoint, self.checkpoint), supernet_meta(self.model)
        space, own = meta['space'], self.model.backbone.space
        if space != own:
            raise UserError(f'{self.checkpoint}: trained on the space {space.min} … {space.max} of {len(space)} archs, but the '
                            f'config has {own.min} … {own.max} of {len(own)}; use the config it was trained with')
        for name in ('stem_kernel', 'mean', 'std', 'to_rgb'):
            if meta[name] != here[name]:
                raise UserError(f'{self.checkpoint}: trained with {name} {meta[name]}, but the config has {here[name]}; use '
                                'the config it was trained with')
        if meta.get('pixel_range') != self.batches.pixel_range():
            raise UserError(f'{self.checkpoint}: trained on images of another range, or number of channels, than the config\'s '
                            'test_dataloader reads; give --checkpoint alone, from which the config follows')
        try:
            self.model.load_state_dict(checkpoint['state_dict'])
        except RuntimeError as error:
            raise UserError(f'{self.checkpoint}: does not match the model of the config: '
                            f"{' '.join(str(error).split())[:300]}") from error

    def _search_all(self, selection: Selection, journal: ScoreJournal) -> Outcome | None:
        """In the main process, what was found."""
        scoring, batches = self._scoring(), list(range(len(self.batches)))
        self.runner.logger.info(describe_cost(selection, self.batches, self._input_size()))
        scoring.score(selection, batches, journal)
        if not is_main_process():
            return None
        scored = scoring.read(selection, batches, journal)
        return Outcome([scored], scales_of(scored.sums, scored.sizes, selection.groups))

    def _run_race(self, selection: Selection, rules: RaceRules, journal: ScoreJournal, settings: dict) -> Outcome | None:
        """In the main process, which also decides who stays, what was found."""
        scoring, rounds, logger = self._scoring(), rules.rounds(len(self.batches)), self.runner.logger
        race = Race(selection, rules, len(rounds))
        logger.info(f'a race of up to {len(rounds)} rounds; in full, '
                    + describe_cost(race.entered, self.batches, self._input_size()))
        full = race.entered.tree.macs(*self._input_size()).sum() * self.batches.num_images
        course: list[dict[str, Any]] = []
        running: list[Any] = [race.running]
        spent = 0.0
        for number, batches in enumerate(rounds, start=1):
            tree, images = running[0].tree, sum(map(self.batches.size, batches))
            spent += float(tree.macs(*self._input_size()).sum()) * images
            course.append(dict(images=images, archs=len(tree), share=spent / full))
            logger.info(f'round {number}: {len(tree):,} archs on {images} images, which makes {spent / full:.1%} of the '
                        'multiply-adds of the search in full')
            with self._open_journal(journal.folder / f'round-{number}',
                                    dict(settings, batches=batches, **arch_list(tree))) as part:
                scoring.score(running[0], batches, part)
                if is_main_process():
                    race.advance(scoring.read(running[0], batches, part))
                    running = [race.running]
            broadcast_object_list(running)
            if running[0] is None:
                break
        return Outcome(race.finished, race.scales, race, course) if is_main_process() else None

    def _scoring(self) -> UnitScoring:
        threads = self.threads or (1 if self._device().type == 'cuda' else torch.get_num_threads())
        assert self.dtype is not None  # agreed on by now
        evaluators = [PrefixEvaluator(self.model, self.quantities, self.temperature, DTYPES[self.dtype], self.reference)]
        evaluators += [evaluators[0].twin() for _ in range(threads - 1)]
        memory = expected_bytes(self.model.backbone.space, min(self.batches.batch_size, self.batches.num_images),
                                *self._input_size(), DTYPES[self.dtype].itemsize, threads, self.quantities)
        self.runner.logger.info(f'in {self.dtype}, on {threads} threads; about {memory / 1e9:.1f} GB at most besides the model '
                                '(less with a smaller test_dataloader.batch_size or test_cfg.threads)')
        return UnitScoring(self.model, evaluators, self.batches, self._input_size(), self.runner.logger, self.max_unreadable,
                           self._tell_time)

    def _tell_time(self, seconds: float) -> None:
        logger = self.runner.logger
        logger.info(f"about {seconds / 60:.1f} minutes{' for the first round' if self.race else ''}, "
                    "by the speed of the max arch's forward here")
        if seconds > 600 and self.archs == 'all':
            few = self._select(100).tree.macs(*self._input_size()).sum()
            logger.info(f'archs=100 draws 100 of each group and takes {amount(few)} multiply-adds an image; '
                        'fewer num_images cost proportionally less')

    @contextlib.contextmanager
    def _open_journal(self, folder: pathlib.Path, settings: dict) -> Iterator[ScoreJournal]:
        with contextlib.ExitStack() as stack:
            if is_main_process():  # begins or mends the folder before the other processes look
                journal = ScoreJournal(folder, settings)
                stack.enter_context(journal.hold())
                if journal.mend():
                    self.runner.logger.warning(f'{folder}: a unit that was being written when the search stopped is done again')
            barrier()
            yield ScoreJournal(folder, settings)

    def _input_size(self) -> tuple[int, int, int]:
        """What FLOPs are counted at: resolution, stem and channels of the images."""
        return self.resolution, self.model.backbone.stem_kernel, self.model.backbone.in_channels

    def _device(self) -> torch.device:
        return next(self.model.parameters()).device
