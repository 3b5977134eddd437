"""What the web server answers about the status, beside Dagster's UI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from policy.amendments import NG
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response

from vibes_pipeline.dagster_host.status_routes import Shown, routes
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import load_policy
from vibes_pipeline.settings import Settings


@pytest.fixture
def shown(ledger: Ledger, tmp_path: Path) -> Shown:
    """Over an empty ledger, by a policy file of its own."""
    file = tmp_path / "policy.yaml"
    file.write_text(NG, encoding="utf-8")
    settings = Settings.from_environment({"VIBES_HOME": str(tmp_path), "VIBES_POLICY": str(file)})
    return Shown(settings, ledger, load_policy(None, file))


def answer(shown: Shown, path: str) -> Response:
    (route,) = [route for route in routes(shown) if route.path == path]
    answered = route.endpoint(Request({"type": "http"}))
    assert isinstance(answered, Response)
    return answered


def test_a_status_is_read_once_for_all_who_ask(shown: Shown) -> None:
    assert shown.status() is shown.status()
    told = answer(shown, "/status.json")
    assert told.status_code == 200
    assert json.loads(told.body)["now"] == shown.status().now.isoformat()
    assert told.headers["Cache-Control"] == "no-store"


def test_a_policy_that_becomes_invalid_is_failing_and_told_with_the_last_valid_one(
    shown: Shown,
) -> None:
    assert shown.settings.policy is not None
    shown.settings.policy.write_text("half: written", encoding="utf-8")
    told = answer(shown, "/status.json")
    assert told.status_code == 503, "for a monitor that looks at nothing else"
    document = json.loads(told.body)
    assert document["headline"] == "The ledger or the policy cannot be read"
    assert str(shown.settings.policy) in document["fault"]
    page = answer(shown, "/")
    assert page.status_code == 200, "a person is to see it"
    assert b"half" not in page.body
    families = text_string_to_metric_families(bytes(answer(shown, "/metrics").body).decode())
    verdict = {
        s.labels["verdict"]: s.value for f in families for s in f.samples if "verdict" in f.name
    }
    assert verdict == {"ok": 0, "attention": 0, "failing": 1}
