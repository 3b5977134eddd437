"""What a storm does to a warehouse: rows changed at random, and tables that are not as the contract says.

Here belongs the harm alone, drawn from a seed. `of_rows` touches rows of one marketplace and keeps
every type; `of_tables` breaks or empties whole tables of the warehouse, or what it says of its loads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from storm.world import Row, Tables

from vibes_pipeline.warehouse.contract import BOOLEAN, CONTRACT, INSTANT, MONEY, VARCHAR

Edit = Callable[[Path], None]

HOUR = 3600 * 1_000_000
# What DuckDB holds as infinity and -infinity.
INFINITY = 2**63 - 1
BEFORE_ANY_CLAIM = 1_793_520_000_000_000  # 2026-11-01
ODD_INSTANTS = {
    "infinite": INFINITY,
    "minus infinite": -INFINITY,
    "of the year 1": -62_135_596_800_000_000,
    "of the year 1969": -1,
    "of the year 1971": 40_000_000_000_000,
    "before the calendar": 1_400_000_000_000_000,
    "after the calendar": 2_100_000_000_000_000,
    "of the year 2201": 7_290_000_000_000_000,
    "of the year 9999": 253_370_764_800_000_000,
    "of the year 150000": 4_671_000_000_000_000_000,
}
ODD_MONEY = ("-0.01", "-999999999999.99", "0.00", "0.01", "999999999999.99")
HOSTILE = (
    "",
    " ",
    "\u00a0\u2003",
    "'; DROP SCHEMA ledger CASCADE; --",
    "<script>alert(1)</script>",
    '=cmd|" /C calc"!A0',
    "a@shop.example\r\nBcc: other@shop.example",
    "=?utf-8?q?Bcc=3A_other=40shop=2Eexample?=",
    "\0",
    "S\0-1",
    "\u202e\u200b\ufeff",
    "{{ 7 * 7 }}",
    "$week_start",
    "x" * 70_000,
    "Ọláńrewájú 🛒",
    "../../etc",
    "null",
    "%s%n",
    "🏴" * 300,
)
# Values that some column lists, right and wrong.
LISTED = (
    *("out_of_stock", "late_pending", "late_ready_to_ship", "customer_request", "other"),
    *("wrong_item", "defective_item", "used_refurbished", "change_of_mind", "OUT_OF_STOCK"),
    *("passed", "failed", "Failed", "GM", "Fashion", "fashion", "NG", "ng", "KE", "Nigeria"),
    *("upheld", " Upheld ", "rejected", "REJECTED", "uphold", "yes", "delist", "keep", "Delist "),
    *(
        "counterfeit",
        "seko_warehouse",
        "bill_problem",
        "package_loss",
        "penalty",
        "sales_regulation",
    ),
)
ENUMERATIONS = (
    ("order_items", "cancel_reason"),
    ("order_items", "return_reason"),
    ("dropoff_qc", "result"),
    ("dropoff_qc", "failure_reason"),
    ("products", "product_type"),
    ("sellers", "country"),
    ("claims", "category"),
    ("claims", "decision"),
    ("claims", "reason"),
    ("account_decisions", "decision"),
)
# Tables by how often a row of theirs is hit.
TARGETS = (
    *("order_items",) * 8,
    *("sellers", "products", "dropoff_qc", "counterfeit_cases") * 2,
    *("claims",) * 3,
    "account_decisions",
)
DECIDED = ("claims", "account_decisions")


@dataclass(frozen=True)
class Harm:
    """A warehouse after the storm: its rows, what is done to its files, and how to tell of it."""

    tables: Tables
    told: Sequence[str]
    table: str | None = None
    edits: Sequence[Edit] = field(default=(), repr=False)


def of_rows(good: Tables, random: Random) -> Harm:
    """One to four changes of a marketplace's rows; types and tables stay as they are."""
    tables = copy.deepcopy(good)
    told = [random.choice(ROWS)(tables, random) for _ in range(random.choice((1, 2, 3, 4)))]
    return Harm(tables, told)


def many_rows(good: Tables, random: Random) -> Harm:
    """A dozen changes or more all over the warehouse."""
    tables = copy.deepcopy(good)
    return Harm(
        tables, [random.choice(ROWS)(tables, random) for _ in range(random.randrange(8, 40))]
    )


def of_tables(good: Tables, random: Random) -> Harm:
    """One change of a whole table, or of what the warehouse says of its loads."""
    tables = copy.deepcopy(good)
    edits: list[Edit] = []
    harm = random.choice(TABLES)
    table = random.choice([*(CONTRACT if harm is not _loads else ("loads",))])
    return Harm(tables, [harm(tables, random, edits, table)], table, edits)


# --- changes of rows ------------------------------------------------------------------------------


def _cell(tables: Tables, random: Random) -> str:
    table = random.choice(TARGETS)
    name = random.choice([*CONTRACT[table].columns])
    return _set(tables, random, table, name, _odd(tables, random, table, name))


def _instant(tables: Tables, random: Random) -> str:
    """A time where rules look for one: odd, or just before or after another of its row."""
    table = random.choice([t for t in TARGETS if INSTANT in CONTRACT[t].columns.values()])
    names = [name for name, type_ in CONTRACT[table].columns.items() if type_ == INSTANT]
    return _set(tables, random, table, random.choice(names), _odd_instant(tables, random, table))


def _enumeration(tables: Tables, random: Random) -> str:
    table, name = random.choice(ENUMERATIONS)
    return _set(tables, random, table, name, random.choice((*LISTED, None, "", "no such")))


def _decision(tables: Tables, random: Random) -> str:
    """A decision mistyped, without its time, or from before what it decides."""
    table = random.choice(DECIDED)
    name, value = random.choice(
        [
            ("decision", random.choice((" UPHELD", "upheld\n", "Delist", "KEEP", "up held", "ja"))),
            ("decided_at", None),
            ("decided_at", random.choice([*ODD_INSTANTS.values()])),
            ("decided_at", BEFORE_ANY_CLAIM),
            ("decided_by", None),
        ]
    )
    return _set(tables, random, table, name, value)


def _lost(tables: Tables, random: Random) -> str:
    table = random.choice(TARGETS)
    row = tables[table].pop(random.randrange(len(tables[table])))
    return f"{table} without {_name(row)}"


def _lost_together(tables: Tables, random: Random) -> str:
    """The rows of one seller in one table."""
    table = random.choice(("order_items", "products", "sellers", "claims"))
    seller = random.choice(tables[table])["seller_id"]
    tables[table] = [row for row in tables[table] if row["seller_id"] != seller]
    if not tables[table]:
        return f"{table} without any row"
    return f"{table} without those of {seller}"


def _twice(tables: Tables, random: Random) -> str:
    table = random.choice(TARGETS)
    row = random.choice(tables[table])
    tables[table].append(dict(row))
    return f"{table} with {_name(row)} twice"


def _twice_otherwise(tables: Tables, random: Random) -> str:
    """A second row of the same id with other contents."""
    table = random.choice(TARGETS)
    row, name = random.choice(tables[table]), random.choice([*CONTRACT[table].columns][1:])
    tables[table].append({**row, name: _odd(tables, random, table, name)})
    return f"{table} with {_name(row)} twice, once with another {name}"


def _ids_swapped(tables: Tables, random: Random) -> str:
    table = random.choice(TARGETS)
    one, other = random.choice(tables[table]), random.choice(tables[table])
    name = next(iter(one))
    one[name], other[name] = other[name], one[name]
    return f"{table} with the ids of {_name(one)} and {_name(other)} swapped"


def _sellers_swapped(tables: Tables, random: Random) -> str:
    """Two items each under the other's seller, half the time with the other's product too."""
    one, other = random.choice(tables["order_items"]), random.choice(tables["order_items"])
    names = random.choice((("seller_id",), ("seller_id", "sku")))
    for name in names:
        one[name], other[name] = other[name], one[name]
    return f"order_items with {' and '.join(names)} of {_name(one)} and {_name(other)} swapped"


def _out_of_order(tables: Tables, random: Random) -> str:
    for rows in tables.values():
        random.shuffle(rows)
    return "every table in another order"


ROWS: Sequence[Callable[[Tables, Random], str]] = (
    *(_cell,) * 4,
    *(_instant,) * 3,
    *(_enumeration,) * 2,
    *(_decision,) * 2,
    *(_lost,) * 2,
    *(_twice,) * 2,
    *(_twice_otherwise,) * 2,
    _lost_together,
    _ids_swapped,
    _sellers_swapped,
    _out_of_order,
)


def _set(tables: Tables, random: Random, table: str, name: str, value: Any) -> str:
    if not tables[table]:
        return f"{table} is empty"
    row = random.choice(tables[table])
    told = f"{table}.{name} of {_name(row)} {_shown(row[name])} becomes {_shown(value)}"
    row[name] = value
    return told


def _odd(tables: Tables, random: Random, table: str, name: str) -> Any:
    """A value of the column's type: null, odd, listed somewhere, or another row's."""
    others = [row[name] for row in tables[table]]
    match CONTRACT[table].columns[name]:
        case type_ if random.random() < 0.15 or type_ == BOOLEAN:
            return random.choice((None, *others))
        case t if t == INSTANT:
            return _odd_instant(tables, random, table)
        case t if t == MONEY:
            return Decimal(random.choice(ODD_MONEY))
        case t if t == VARCHAR:
            return random.choice((random.choice(HOSTILE), random.choice(LISTED), *others[:1]))
        case _:
            return random.choice(([], [None], ["\0"], ["a.pdf"] * 500, ["", " "]))


def _odd_instant(tables: Tables, random: Random, table: str) -> int | None:
    times = [
        value
        for row in tables[table]
        for name, value in row.items()
        if CONTRACT[table].columns[name] == INSTANT and isinstance(value, int)
    ]
    near = random.choice(times or [0])
    return random.choice(
        (
            None,
            *random.sample([*ODD_INSTANTS.values()], 3),
            near,
            near - 1,
            near + random.randrange(-200, 200) * HOUR,
        )
    )


def _name(row: Row) -> str:
    return repr(str(next(iter(row.values())))[:40])


def _shown(value: Any) -> str:
    for name, at in ODD_INSTANTS.items():
        if value == at and isinstance(value, int):
            return name
    return repr(value)[:60]


# --- changes of tables ----------------------------------------------------------------------------


def _table_lost(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    if CONTRACT[table].is_optional:
        tables[table] = []
    edits.append(lambda folder: _file(folder, table).unlink())
    return f"no table {table}"


def _table_empty(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    tables[table] = []
    return f"{table} is empty"


def _column_lost(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    name = random.choice([*CONTRACT[table].columns])
    edits.append(_framed(table, lambda frame: frame.drop(name)))
    return f"{table} without its column {name}"


def _column_otherwise(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    """A column of another type, or of its name in another case."""
    name = random.choice([*CONTRACT[table].columns])
    casts = OTHER_TYPES.get(CONTRACT[table].columns[name], {"text": pl.String()})
    told, type_ = random.choice([*casts.items()])
    if random.random() < 0.1:
        edits.append(_framed(table, lambda frame: frame.rename({name: name.upper()})))
        return f"{table}.{name} in capitals"
    edits.append(_framed(table, lambda frame: frame.with_columns(_cast(frame[name], type_))))
    return f"{table}.{name} is {told}"


def _column_more(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    edits.append(
        _framed(
            table,
            lambda frame: frame.select(pl.lit(1).alias("more"), *reversed(frame.columns)),
        )
    )
    return f"{table} with one column more, the others the other way round"


def _file_broken(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    told, harm = random.choice(
        [
            ("cut off", lambda content: content[: len(content) // 2]),
            ("of no bytes", lambda content: b""),
            ("no Parquet", lambda content: b"seller_id,shop_name\n1,A\n"),
            ("with a page overwritten", lambda content: content[:40] + b"\xff" * 40 + content[80:]),
        ]
    )

    def edit(folder: Path) -> None:
        file = _file(folder, table)
        file.write_bytes(harm(file.read_bytes()))

    edits.append(edit)
    return f"the file of {table} is {told}"


def _bytes_no_text(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    """A text column with bytes that are no UTF-8."""
    names = [name for name, type_ in CONTRACT[table].columns.items() if type_ == VARCHAR]
    name = random.choice(names)

    def edit(folder: Path) -> None:
        stored = pq.read_table(_file(folder, table))
        values = [v.as_py() for v in stored[name].cast(pa.large_string())]
        raw = [None if v is None else v.encode() for v in values]
        raw[0] = b"caf\xe9\xff"
        binary = pa.array(raw, pa.binary())
        text = pa.Array.from_buffers(pa.string(), len(raw), binary.buffers())
        at = stored.column_names.index(name)
        pq.write_table(stored.set_column(at, name, text), _file(folder, table))

    edits.append(edit)
    return f"{table}.{name} of its first row is not UTF-8"


def _parts(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    """A folder of parts in place of a file, one of them without rows, or without a column."""
    is_whole = random.random() < 0.5

    def edit(folder: Path) -> None:
        frame = pl.read_parquet(_file(folder, table))
        _file(folder, table).unlink()
        (folder / table).mkdir()
        frame.write_parquet(folder / table / "1.parquet")
        rest = frame.clear()
        (rest if is_whole else rest.drop(rest.columns[-1])).write_parquet(
            folder / table / "2.parquet"
        )

    edits.append(edit)
    return f"{table} in two parts{'' if is_whole else ', one without its last column'}"


def _loads(tables: Tables, random: Random, edits: list[Edit], table: str) -> str:
    """What the warehouse says of its loads is odd."""
    rows = tables["loads"]
    row = random.choice(rows)
    match random.randrange(5):
        case 0:
            row["loaded_through"] = None
        case 1:
            row["loaded_through"] = random.choice([*ODD_INSTANTS.values()])
        case 2:
            rows.remove(row)
        case 3:
            rows.append({**row, "loaded_through": random.choice([None, *ODD_INSTANTS.values()])})
        case _:
            row["table_name"] = random.choice((None, "", "orders", "raw.order_items", "\0"))
    return f"loads says {_shown(row['table_name'])} {_shown(row['loaded_through'])}"


TABLES: Sequence[Callable[[Tables, Random, list[Edit], str], str]] = (
    _table_lost,
    _table_empty,
    _column_lost,
    _column_otherwise,
    _column_otherwise,
    _column_more,
    _file_broken,
    _bytes_no_text,
    _parts,
    *(_loads,) * 3,
)
OTHER_TYPES: Mapping[str, Mapping[str, pl.DataType]] = {
    INSTANT: {
        "text": pl.String(),
        "a time without zone": pl.Datetime("us"),
        "in nanoseconds": pl.Datetime("ns", "UTC"),
        "a date": pl.Date(),
        "a number": pl.Int64(),
    },
    MONEY: {
        "a double": pl.Float64(),
        "text": pl.String(),
        "a wider decimal": pl.Decimal(18, 2),
        "a decimal of 4 places": pl.Decimal(14, 4),
        "whole": pl.Int64(),
    },
    VARCHAR: {"a number": pl.Int64(), "bytes": pl.Binary(), "null alone": pl.Null()},
    BOOLEAN: {"text": pl.String(), "a number": pl.Int8()},
}


def _cast(values: pl.Series, type_: pl.DataType) -> pl.Series:
    """The column in another type; what cannot be cast is null."""
    if isinstance(type_, pl.Null):
        return pl.Series(values.name, [None] * len(values), dtype=type_)
    if isinstance(values.dtype, pl.List):
        return pl.Series(values.name, [None if v is None else ",".join(v) for v in values])
    return values.cast(type_, strict=False)


def _framed(table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Edit:
    def edit(folder: Path) -> None:
        change(pl.read_parquet(_file(folder, table))).write_parquet(_file(folder, table))

    return edit


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}.parquet"
