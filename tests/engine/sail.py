"""A Spark Connect server for tests: Sail, in this process, with or without workers, on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


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


@contextmanager
def with_tables(folder: Path, schema: str = "orders") -> Iterator[None]:
    """Let every session find the folder's Parquet as tables of a schema in Sail's catalog.

    The catalog that Sail brings belongs to one session, so each gets the tables when it opens.
    """
    from vibes_pipeline import spark_connect

    def opened(url: str, zone: ZoneInfo, plain: Any = spark_connect.open_session) -> SparkSession:
        session: SparkSession = plain(url, zone)
        made = [f"CREATE DATABASE {schema}"]
        for place in folder.iterdir():
            table = f"{schema}.{place.stem}"
            made.append(f"CREATE TABLE IF NOT EXISTS {table} USING parquet LOCATION '{place}'")
        for statement in made:
            session.sql(statement)
        return session

    with patch.object(spark_connect, "open_session", opened):
        yield
