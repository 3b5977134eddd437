"""The environment as the pipeline reads it: defaults, paths, and secrets that stay secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from vibes_pipeline.errors import SettingsError, UsageError
from vibes_pipeline.settings import DEFAULT_SENDER, Lakehouse, Settings

SERVER = "sc://spark.example:15002/;token=s3cret"
EVERYTHING = {
    "VIBES_HOME": "/srv/vibes",
    "VIBES_WAREHOUSE": "/data/orders",
    "VIBES_POSTGRES_URL": "postgresql://vibes:s3cret@db/vibes",
    "VIBES_SMTP_URL": "smtps://vibes:s3cret@mail:465",
    "VIBES_MAIL_CATCHER_URL": "smtp://127.0.0.1:1025",
    "VIBES_MAIL_FROM": "VIBES <vibes@shop.example>",
    "VIBES_OPERATORS": "night@operators.example, day@operators.example,",
    "VIBES_COUNTRY": "NG",
    "VIBES_POLICY": "/srv/ng.yaml",
    "VIBES_ENGINE": "sc://spark.example:15002/;use_ssl=true;token=s3cret",
    "VIBES_MEMORY": "4GB",
    "VIBES_SMTP_CONNECTIONS": "12",
    "VIBES_SMTP_RATE": "2.5",
}


def test_every_variable_is_read() -> None:
    assert Settings.from_environment(EVERYTHING) == Settings(
        home=Path("/srv/vibes"),
        warehouse=Path("/data/orders"),
        postgres_url="postgresql://vibes:s3cret@db/vibes",
        smtp_url="smtps://vibes:s3cret@mail:465",
        mail_catcher_url="smtp://127.0.0.1:1025",
        sender="VIBES <vibes@shop.example>",
        operators=("night@operators.example", "day@operators.example"),
        country="ng",
        policy=Path("/srv/ng.yaml"),
        engine="sc://spark.example:15002/;use_ssl=true;token=s3cret",
        most_memory="4GB",
        smtp_connections=12,
        smtp_rate=2.5,
    )


@pytest.mark.parametrize(
    "environment",
    [pytest.param({}, id="unset"), pytest.param(dict.fromkeys(EVERYTHING, ""), id="empty")],
)
def test_without_variables_state_lies_in_var_and_nothing_is_reached(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment(environment) == Settings(
        home=tmp_path / "var",
        warehouse=tmp_path / "var" / "warehouse.duckdb",
        postgres_url=None,
        smtp_url=None,
        mail_catcher_url=None,
        sender=DEFAULT_SENDER,
        operators=(),
        country="ng",
        policy=None,
    )


def test_the_process_s_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBES_HOME", "/somewhere/else")
    assert Settings.from_environment().home == Path("/somewhere/else")


def test_state_lies_under_the_home_and_the_warehouse_follows_it() -> None:
    settings = Settings.from_environment({"VIBES_HOME": "/srv/vibes"})
    assert settings.warehouse == Path("/srv/vibes/warehouse.duckdb")
    assert settings.lake == Path("/srv/vibes/lake")
    assert settings.maildir == Path("/srv/vibes/mail")
    assert settings.dagster_home == Path("/srv/vibes/dagster")


def test_relative_paths_do_not_follow_a_process_that_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment(
        {"VIBES_HOME": "state", "VIBES_WAREHOUSE": "../raw", "VIBES_POLICY": "ng.yaml"}
    )
    monkeypatch.chdir("/")
    assert settings.home == tmp_path / "state"
    assert settings.warehouse == tmp_path.parent / "raw"
    assert settings.policy == tmp_path / "ng.yaml"


@pytest.mark.parametrize("home", ["notes.txt", "notes.txt/state"], ids=["is one", "lies in one"])
def test_a_home_that_is_a_file_is_refused(tmp_path: Path, home: str) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"VIBES_HOME": str(tmp_path / home)})
    assert str(error.value) == (
        f"{tmp_path / 'notes.txt'} is a file; set VIBES_HOME to a folder for the state"
    )


def test_no_representation_shows_a_password() -> None:
    settings = Settings.from_environment(EVERYTHING)
    assert "s3cret" not in f"{settings!r}{settings}{settings!a}"


@pytest.mark.parametrize("size", ["4GB", "1.5 GiB", "500mb", "60%"])
def test_memory_is_a_size_or_a_part_of_the_machine(size: str) -> None:
    assert Settings.from_environment({"VIBES_MEMORY": size}).most_memory == size


@pytest.mark.parametrize("size", ["4", "much", "-1GB", "0GB", "4GB; DROP"])
def test_a_memory_that_is_no_size_is_told_with_an_example(size: str) -> None:
    with pytest.raises(SettingsError, match=r"VIBES_MEMORY is .*; set it to a size such as 4GB"):
        Settings.from_environment({"VIBES_MEMORY": size})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("VIBES_SMTP_CONNECTIONS", "0", "is a whole number from 1 to 50, not '0'"),
        ("VIBES_SMTP_CONNECTIONS", "51", "is a whole number from 1 to 50, not '51'"),
        ("VIBES_SMTP_CONNECTIONS", "four", "is a whole number from 1 to 50, not 'four'"),
        ("VIBES_SMTP_RATE", "0", "is how many mails a second may be sent, 20 or 0.5 say"),
        ("VIBES_SMTP_RATE", "-1", "is how many mails a second may be sent, 20 or 0.5 say"),
        ("VIBES_SMTP_RATE", "nan", "is how many mails a second may be sent, 20 or 0.5 say"),
    ],
)
def test_a_number_that_is_none_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} {said}"):
        Settings.from_environment({name: text})


@pytest.mark.parametrize("engine", ["spark", "sc://", "sc://:15002", "http://s3cret@x", "DuckDB"])
def test_an_engine_that_is_none_is_refused_and_not_repeated(engine: str) -> None:
    with pytest.raises(SettingsError, match=r"^VIBES_ENGINE is duckdb, or a Spark .*") as refused:
        Settings.from_environment({"VIBES_ENGINE": engine})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "lakehouse", "written"),
    [
        ("spark:lake.orders", "lake.orders", "spark:lake.orders"),
        ("spark:lake.ng.orders", "lake.ng.orders", "spark:lake.ng.orders"),
        ("s3://bucket/orders/", "s3://bucket/orders", "s3://bucket/orders"),
        ("abfss://raw@acme.example/x", "abfss://raw@acme.example/x", "abfss://raw@acme.example/x"),
    ],
)
def test_a_warehouse_may_be_what_the_engine_s_server_reads(
    text: str, lakehouse: str, written: str
) -> None:
    settings = Settings.from_environment({"VIBES_WAREHOUSE": text, "VIBES_ENGINE": SERVER})
    assert settings.warehouse == Lakehouse(lakehouse, SERVER)
    assert str(settings.warehouse) == written
    assert "s3cret" not in repr(settings)
    with pytest.raises(UsageError, match=r"which is only read, never written; name a DuckDB file"):
        _ = settings.made_warehouse


@pytest.mark.parametrize(
    ("text", "engine", "said"),
    [
        ("spark:lake.orders", "", "names what only a Spark Connect server reads; set VIBES_ENGINE"),
        ("s3://bucket/orders", "duckdb", "names what only a Spark Connect server reads; set"),
        ("spark:orders", SERVER, "is 'spark:orders'; name a catalog and a schema, such as spark:l"),
        ("spark:a.b; DROP", SERVER, "is 'spark:a.b; DROP'; name a catalog and a schema"),
        ("s3://key:s3cret@bucket/x", SERVER, "holds a password; leave it out: the server has its"),
    ],
)
def test_a_lakehouse_that_cannot_be_one_is_one_line(text: str, engine: str, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"^VIBES_WAREHOUSE {said}") as refused:
        Settings.from_environment({"VIBES_WAREHOUSE": text, "VIBES_ENGINE": engine})
    assert "s3cret" not in str(refused.value)
