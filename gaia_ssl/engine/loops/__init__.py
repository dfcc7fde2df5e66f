"""Loops for mmengine's Runner."""

from gaia_ssl.engine.loops.task_aware_search_loop import TaskAwareSearchLoop

__all__ = ['TaskAwareSearchLoop']
