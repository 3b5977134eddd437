"""A session on a Spark Connect server, set up and tried out before anything rests on it.

A server that cannot be reached, does not keep to the settings or does not see our folders is one
clear line. Here belongs how columns are named to a server, how it writes a folder of ours, and how
its errors are told; which rows it is asked for does not belong here.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import finalize
from zoneinfo import ZoneInfo

import polars as pl

from vibes_pipeline import parquet
from vibes_pipeline.errors import EngineError, first_line
from vibes_pipeline.zones import require_same_offsets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.connect.shell.progress import StageInfo

PORT = 15002
PATIENCE_SECONDS = 10.0
# The client's own patience with a server that does not answer is ten minutes.
RETRIES = 4
NOT_AN_INTEGER = "no-integer"
OURS, THEIRS = "duckdb", "spark"
PATTERN = re.compile(r"[*?\[\]{}\\]")
# The other way out of each error. A lakehouse is read by its server alone, whatever the engine.
OR_ELSE = "or, if the warehouse is a folder, set VIBES_ENGINE=duckdb"


def address(url: str) -> tuple[str, int]:
    """Host and port; the rest of the URL, which may hold a token, is in no message."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORT


def named(url: str) -> str:
    """How messages name the server."""
    host, port = address(url)
    return f"the Spark Connect server at {host}:{port}"


def open_session(url: str, zone: ZoneInfo) -> SparkSession:
    """A new session whose local time is the zone's; `EngineError` if the server is unfit."""
    _require_answer(url)
    with told(url, "does not speak Spark Connect"):
        with _as_a_program():
            from pyspark.logger import PySparkLogger
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession

        # It writes each failed query with its text, which may hold the key, to standard error.
        PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True
        session = SparkSession.builder.remote(url).create()
        session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES)])
        session.conf.set("spark.sql.session.timeZone", zone.key)
        session.conf.set("spark.sql.ansi.enabled", "true")
        # Else Spark writes instants as a type that other readers take for text or shift.
        session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    return session


@contextmanager
def _as_a_program() -> Iterator[None]:
    """Let the client be imported where the main program has no file, such as after `python -c`.

    The client takes such a process for its own doctests, and ends it.
    """
    main = sys.modules["__main__"]
    with ExitStack() as undone:
        if not hasattr(main, "__file__"):
            main.__file__ = "-c"
            undone.callback(delattr, main, "__file__")
        yield


def close_after(owner: object, session: SparkSession) -> None:
    """End the session once its owner is gone, or the process ends."""
    finalize(owner, _close_aside, session)


def _close_aside(session: SparkSession) -> None:
    """End a session from a thread of its own.

    The owner may be found to be garbage by any thread, in the midst of a call to a server, or of
    what a server waits for; to wait for an answer there could last for ever.
    """
    if threading.main_thread().is_alive():
        threading.Thread(target=close, args=(session,), daemon=True).start()
    else:
        close(session)


def close(session: SparkSession) -> None:
    """End a session; a server that is gone is not waited for."""
    session.client.set_retry_policies([])
    session.stop()


def require_fit(session: SparkSession, url: str, zone: ZoneInfo, days: pl.Series) -> None:
    """`EngineError` or `TimeZoneError` unless the server casts and tells the time as we do.

    `days` are the calendar's, in order.
    """
    with told(url, "could not be tried out"):
        _require_strict(session, url)
        require_same_offsets(
            named(url),
            lambda instants, _: _offsets(session, instants),
            zone,
            days.item(0),
            days.item(-1),
        )


def _require_strict(session: SparkSession, url: str) -> None:
    """`EngineError` if the server makes null of a value that cannot be cast, not an error."""
    try:
        session.sql(f"SELECT CAST('{NOT_AN_INTEGER}' AS INT) AS number").toArrow()
    except Exception as error:
        if NOT_AN_INTEGER in str(error):
            return
        raise
    raise EngineError(
        f"{named(url)} does not keep to spark.sql.ansi.enabled: a text that is no number is null "
        f"there; use another server, {OR_ELSE}"
    )


def require_shared(session: SparkSession, folder: Path, url: str) -> None:
    """`EngineError` unless what the server writes into the folder is there for us."""
    with told(url, f"cannot write into {folder}"):
        write(session.sql("SELECT 1 AS one"), folder, url)


def selected(expressions: Mapping[str, str], types: Mapping[str, str]) -> list[str]:
    """For each column its expression, DuckDB's SQL, as Spark's with the declared type.

    Every instant is cast too, though it has that type: Sail takes the local date of a stored
    instant in UTC, and that of a cast one in the session's zone.
    """
    # Imported where it is needed: it takes commands that ask no server a tenth of a second.
    import sqlglot

    return [
        f"CAST({sqlglot.transpile(expression, read=OURS, write=THEIRS)[0]} AS "
        f"{_spark_type(types[name])}) AS {identifier(name)}"
        for name, expression in expressions.items()
    ]


def identifier(name: str) -> str:
    """A name, quoted."""
    from sqlglot import exp

    return exp.to_identifier(name, quoted=True).sql(dialect=THEIRS)


def write(rows: DataFrame, folder: Path, url: str) -> bool:
    """Have the server write rows as Parquet files into a folder; False if there is no row.

    Sail writes no file where there is no row. Raises `EngineError` when the server's files are not
    there for us.
    """
    rows.write.mode("overwrite").parquet(plain(folder))
    if _has_parts(folder):
        return True
    require_empty(rows, folder, url)
    return False


def plain(path: Path) -> str:
    """The path, unless the server would take it for a pattern, and read another folder too."""
    if PATTERN.search(str(path)):
        raise EngineError(
            f"{path} has a character that Spark takes for a pattern, one of *?[]{{}}\\; use a "
            f"folder of another name, {OR_ELSE}"
        )
    return str(path)


def _has_parts(folder: Path) -> bool:
    return folder.is_dir() and bool(parquet.parts(folder))


def _spark_type(declared: str) -> str:
    """Spark's name of one of DuckDB's types."""
    from sqlglot import exp

    return exp.DataType.build(declared, dialect=OURS).sql(dialect=THEIRS)


def require_empty(rows: DataFrame, folder: Path, url: str) -> None:
    """`EngineError` when there are rows, of which nothing is in the folder they were written into.

    Else a result that the server left on a disk of its own would be taken for an empty one.
    """
    if not rows.isEmpty():
        raise EngineError(
            f"what {named(url)} writes into {folder.parent} is not there on this machine: mount "
            f"VIBES_HOME under the same path on the server and all its workers, {OR_ELSE}"
        )


def _offsets(session: SparkSession, instants: pl.DataFrame) -> list[int]:
    """The offset from UTC, in seconds, of the session's local time at each instant."""
    # Cast as each mounted instant is: Sail writes others in UTC (`selected`).
    text = "date_format(CAST(instant AS TIMESTAMP), 'yyyy-MM-dd HH:mm:ss') AS written"
    rows = session.createDataFrame(instants.to_arrow()).selectExpr("instant", text).toArrow()
    frame = pl.DataFrame(rows)
    local = pl.col("written").str.to_datetime("%Y-%m-%d %H:%M:%S", time_zone="UTC")
    utc = pl.col("instant").dt.convert_time_zone("UTC")
    found = frame.sort("instant").select((local - utc).dt.total_seconds())
    return found.to_series().to_list()


def version(session: SparkSession, url: str) -> str:
    """The protocol's version and the server's own, which is another one unless it is Spark."""
    host, port = address(url)
    (own,) = session.sql("SELECT version() AS own").toArrow()["own"].to_pylist()
    return f"Spark Connect {session.version} at {host}:{port}, server {own.split()[0]}"


def note_progress(noted: dict[str, str | int]) -> Any:
    """What the client is to call while a query runs, to note the server's own numbers of it."""

    def note(stages: Iterable[StageInfo] | None, **_: object) -> None:
        if known := list(stages or ()):
            noted["server_tasks"] = sum(stage.num_tasks for stage in known)
            noted["server_bytes_read"] = sum(stage.num_bytes_read for stage in known)

    return note


@contextmanager
def told(url: str, what: str, secret: str = "", way_out: str = f", {OR_ELSE}") -> Iterator[None]:
    """Errors of the server and of the connection to it as `EngineError`, in one line."""
    try:
        from grpc import RpcError
        from pyspark.errors import PySparkException
    except ImportError as error:
        raise EngineError(
            f"VIBES_ENGINE names {named(url)}, but its client is not installed "
            f"({first_line(error)}): install vibes-pipeline[spark], {OR_ELSE}"
        ) from None
    try:
        yield
    except (PySparkException, RpcError) as error:
        text = error.details() if isinstance(error, RpcError) else str(error)
        cause = first_line(text.replace(secret, "…") if secret else text)
        raise EngineError(f"{named(url)} {what}: {cause}; look into its log{way_out}") from (
            None if secret else error
        )


def _require_answer(url: str) -> None:
    host, port = address(url)
    try:
        socket.create_connection((host, port), PATIENCE_SECONDS).close()
    except OSError as error:
        raise EngineError(
            f"nothing answers at {host}:{port}, which VIBES_ENGINE names "
            f"({error.strerror or error}); start the server, {OR_ELSE}"
        ) from None
