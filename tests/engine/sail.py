"""A Spark Connect server for tests: Sail, in this process, with or without workers, on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def sail(workers: int = 0) -> Iterator[str]:
    """The URL of a server; with workers, each query's tasks are spread over them."""
    from pysail.spark import SparkConnectServer

    given = {"SAIL_MODE": "local", "RUST_LOG": "error"}
    if workers:
        given |= {
            "SAIL_MODE": "local-cluster",
            "SAIL_CLUSTER__WORKER_INITIAL_COUNT": str(workers),
        }
    with patch.dict(os.environ, given):
        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start(background=True)
        assert server.listening_address is not None
        yield f"sc://127.0.0.1:{server.listening_address[1]}"
        server.stop()
