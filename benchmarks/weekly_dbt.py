"""The weekly alert's models as a dbt project over DuckDB: the rival of those who run SQL with dbt.

Here belongs the project that is made of the models: one file each with the same SELECT, its
relations as dbt's `ref` and `source`, its parameters as dbt's variables. dbt is in an environment
of its own; each run is a process, measured whole.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from measure import Taken

if TYPE_CHECKING:
    from vibes_pipeline.engine.protocol import Parameters

PROJECT = "weekly"
# dbt's own would put the name of the target's schema before each stage.
SCHEMA_MACRO = """{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
"""


class Query(Protocol):
    """One model's SELECT, the relation that it makes and the parameters that it takes."""

    relation: str
    sql: str
    parameters: Parameters


@dataclass(frozen=True)
class Project:
    """A dbt project in a folder; its tables are in a DuckDB file there."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / f"{PROJECT}.duckdb"

    def write(
        self, queries: Iterable[Query], sources: Mapping[str, Path], session: Mapping[str, object]
    ) -> None:
        """Write the project: `sources` are folders of Parquet files by schema."""
        parameters: dict[str, object] = {}
        for query in queries:
            parameters |= query.parameters
            self._add(f"models/{_node(query.relation)}.sql", _model(query))
        self._add("macros/schemas.sql", SCHEMA_MACRO)
        self._add("models/sources.yml", {"sources": [_source(*of) for of in sources.items()]})
        made = {
            "type": "duckdb",
            "path": str(self.database),
            "threads": os.cpu_count(),
            "settings": session,
        }
        self._add("profiles.yml", {PROJECT: {"target": "made", "outputs": {"made": made}}})
        self._add(
            "dbt_project.yml",
            {
                "name": PROJECT,
                "profile": PROJECT,
                "flags": {"send_anonymous_usage_stats": False},
                "models": {PROJECT: {"materialized": "table"}},
                "vars": {name: _literal(value) for name, value in parameters.items()},
            },
        )

    def run(self, dbt: Path) -> Taken:
        """Make all tables by `dbt run`, in the one child of this process.

        `CalledProcessError` when a model fails; dbt says which.
        """
        started = perf_counter()
        subprocess.run(
            [dbt, "run", "--quiet", "--project-dir", self.folder, "--profiles-dir", self.folder],
            check=True,
            stdout=sys.stderr,
        )
        seconds = perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        results = json.loads((self.folder / "target" / "run_results.json").read_text())["results"]
        return Taken(
            seconds=seconds,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_bytes=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            seconds_of={
                _relation(result["unique_id"]): result["execution_time"] for result in results
            },
        )

    def _add(self, name: str, content: str | Mapping[str, object]) -> None:
        """Write a file; JSON is YAML too."""
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))


def _node(relation: str) -> str:
    """A model's name in dbt, where the names of all stages are one set."""
    return relation.replace(".", "__")


def _relation(unique_id: str) -> str:
    return unique_id.rsplit(".", 1)[1].replace("__", ".")


def _model(query: Query) -> str:
    from vibes_pipeline.engine.models import COMMENT, PARAMETER, RELATION

    stage, name = query.relation.split(".")
    code = COMMENT.sub("", query.sql)
    code = RELATION.sub(lambda found: found[0].replace(found[1], _reference(found[1])), code)
    code = PARAMETER.sub(r'{{ var("\1") }}', code)
    return f'{{{{ config(schema="{stage}", alias="{name}") }}}}\n{code}'


def _reference(relation: str) -> str:
    from vibes_pipeline.engine.models import GIVEN_SCHEMAS

    schema, name = relation.split(".")
    if schema in GIVEN_SCHEMAS:
        return f'{{{{ source("{schema}", "{name}") }}}}'
    return f'{{{{ ref("{_node(relation)}") }}}}'


def _source(schema: str, folder: Path) -> Mapping[str, object]:
    from vibes_pipeline import parquet

    return {
        "name": schema,
        "tables": [
            {"name": file.stem, "config": {"meta": {"external_location": parquet.sql_rows([file])}}}
            for file in sorted(folder.glob("*.parquet"))
        ],
    }


def _literal(value: Any) -> str:
    """A parameter as dbt writes it into the SQL."""
    from vibes_pipeline.parquet import sql_text

    match value:
        case datetime():
            return f"TIMESTAMPTZ '{value.isoformat()}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case str():
            return sql_text(value)
        case _:
            return str(value)
