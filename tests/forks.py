"""Processes that tests may kill: forked from one that has the slots imported, and started no thread.

A new interpreter takes two seconds of processor to import them, such a process none.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

import pytest


@cache
def forks() -> ForkServerContext:
    """What makes such processes; the modules of their targets are found as ours are."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["slots_direct", "rules.marketplace"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        forkserver.ensure_running()
    # Once a first one has run, the next are as quick as they will ever be.
    first = context.Process(target=int)
    first.start()
    first.join()
    return context
