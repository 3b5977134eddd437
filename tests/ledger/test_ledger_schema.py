"""The tables as SQLAlchemy names them are those that the migrations make."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from vibes_pipeline.ledger import feeds, schema, views


@pytest.fixture(scope="module")
def inspector(module_ledger_url: sa.URL) -> sa.Inspector:
    engine = sa.create_engine(module_ledger_url, poolclass=sa.NullPool)
    inspector: sa.Inspector = sa.inspect(engine)
    return inspector


def _type(column_type: sa.types.TypeEngine[object]) -> str:
    return column_type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]


def test_the_same_tables_and_views_are_there(inspector: sa.Inspector) -> None:
    made = (schema.metadata, inspector.get_table_names), (views.metadata, inspector.get_view_names)
    for metadata, names in made:
        assert {t.name for t in metadata.tables.values()} == set(names("ledger"))


@pytest.mark.parametrize("metadata", [feeds.finance, feeds.enforcement], ids=lambda m: m.schema)
def test_the_same_feeds_are_there(inspector: sa.Inspector, metadata: sa.MetaData) -> None:
    named = {t.name for t in metadata.tables.values()}
    assert named == set(inspector.get_view_names(metadata.schema))
    assert inspector.get_table_names(metadata.schema) == []


@pytest.mark.parametrize(
    "table",
    [
        t
        for m in (schema.metadata, views.metadata, *feeds.SCHEMAS.values())
        for t in m.tables.values()
    ],
    ids=lambda t: t.fullname,
)
def test_columns_have_the_same_names_order_and_types(
    inspector: sa.Inspector, table: sa.Table
) -> None:
    made = [(c["name"], _type(c["type"])) for c in inspector.get_columns(table.name, table.schema)]
    assert [(c.name, _type(c.type)) for c in table.columns] == made


@pytest.mark.parametrize("name", sorted(schema.metadata.tables))
def test_keys_and_nulls_are_the_same(inspector: sa.Inspector, name: str) -> None:
    table = schema.metadata.tables[name]
    made = inspector.get_columns(table.name, "ledger")
    assert {c.name: c.nullable for c in table.columns} == {c["name"]: c["nullable"] for c in made}
    key = inspector.get_pk_constraint(table.name, "ledger")["constrained_columns"]
    assert [c.name for c in table.primary_key] == key
    given = {c["name"] for c in made if c.get("identity") or c["default"]}
    assert {c.name for c in table.columns if c.identity or c.server_default} == given
