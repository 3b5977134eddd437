"""Hostile text in every field of a notice and of the policy, through every macro of the templates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, TemplateNotFound, nodes
from jinja2.runtime import Macro
from notices.mail_reader import PROGRAMME, Page
from notices.notice_samples import (
    OF_LATE_RULE,
    OF_RULE,
    action,
    implemented,
    late_alert,
    late_cancellation,
    notice,
)

from vibes_pipeline.notices.content import Notice, NoticeAction, NoticeClaim, Programme
from vibes_pipeline.notices.message import render
from vibes_pipeline.notices.wording import html_environment, plain_macros, text_environment
from vibes_pipeline.paths import email_templates_dir

HOSTILE = "</p><img src=x onerror=alert(1)>&lt;b&gt; \"'{{ 7 * 7 }}"
# What a template looks something up by, or a filter reads as a number or a time.
READ_BY_TEMPLATES = {"kind", "country", "rule", "state", "currency", "grounds", "claim_id"}
WORDS_IN_EVIDENCE = ("case_id", "decision_id", "product_type")
PLACE = (PROGRAMME.country, PROGRAMME.time_zone)


def hostile(made: Any) -> Any:
    """The same record with hostile text wherever it has free text."""
    texts = {
        field.name: HOSTILE
        for field in fields(made)
        if isinstance(getattr(made, field.name), str) and field.name not in READ_BY_TEMPLATES
    }
    return replace(made, **texts)


def hostile_action(made: NoticeAction, **changes: Any) -> NoticeAction:
    words = {name: HOSTILE for name in WORDS_IN_EVIDENCE if name in made.evidence}
    return replace(hostile(made), evidence={**made.evidence, **words}, **changes)


def hostile_programme() -> Programme:
    return replace(
        PROGRAMME,
        claim_link="https://claims.example/?about={reference}",
        country_name=HOSTILE,
        how_to_object=HOSTILE,
        phones=[HOSTILE],
        rules={rule: hostile(text) for rule, text in PROGRAMME.rules.items()},
        reasons={
            rule: {code: hostile(text) for code, text in texts.items()}
            for rule, texts in PROGRAMME.reasons.items()
        },
        claim_categories={name: hostile(text) for name, text in PROGRAMME.claim_categories.items()},
    )


def about_a_claim(state: str, actions: list[NoticeAction], **changes: Any) -> Notice:
    kind = "claim_outcome" if state in ("upheld", "rejected") else "claim_receipt"
    claim = NoticeClaim(
        claim_id=HOSTILE,
        state=state,
        category=HOSTILE,
        order_number=HOSTILE,
        sku=HOSTILE,
        action_reference=HOSTILE,
        raised_at=notice([]).takes_effect_at,
        faults={HOSTILE: HOSTILE, f"sku or {HOSTILE}": HOSTILE, "order_number": "unknown"},
        is_matched=True,
    )
    made = notice(actions, kind=kind, takes_effect_at=None)
    return replace(hostile(made), claim=replace(claim, **changes))


def notices() -> Iterator[Notice]:
    """Every rule in every kind of mail that tells of it, and claims in every state."""
    for makes, rules in (
        ((notice, implemented), OF_RULE),
        ((late_alert, late_cancellation), OF_LATE_RULE),
    ):
        for make in makes:
            yield from (hostile(make([hostile_action(action(rule))])) for rule in rules)
            yield hostile(make([hostile_action(action(r, n)) for r in rules for n in range(3)]))
            # More than are listed one by one.
            yield hostile(make([hostile_action(action(r, n)) for r in rules for n in range(30)]))
    for state in ("accepted", "incomplete", "out_of_time"):
        yield about_a_claim(state, [])
    yield about_a_claim("redirected", [], category="seko_warehouse")
    cycle = date(2026, 11, 9)
    fates = [
        hostile_action(action(rule), state=state, cycle=cycle, claim_id=claim_id)
        for rule in ("returns_charge", "order_regulation")
        for state, claim_id in (
            ("reversed", HOSTILE),
            ("withdrawn", HOSTILE),
            ("implemented", None),
            ("alerted", None),
        )
    ]
    yield about_a_claim("upheld", fates)
    yield about_a_claim("rejected", fates[2:4])


def macros() -> set[tuple[str, str]]:
    """(template, macro) of every macro that there is; mails to operators have tests of their own."""
    folder, reader = email_templates_dir(), Environment()
    return {
        (file.relative_to(folder).as_posix(), macro.name)
        for file in folder.rglob("*")
        if file.suffix in (".txt", ".html") and file.parent.name != "operators"
        for macro in reader.parse(file.read_text(encoding="utf-8")).find_all(nodes.Macro)
    }


def test_no_text_becomes_markup_whichever_macro_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    called: set[tuple[str, str]] = set()
    invoke = Macro._invoke

    def recorded(macro: Macro, *given: Any) -> str:
        file = Path(macro._func.__code__.co_filename)
        called.add((file.relative_to(email_templates_dir()).as_posix(), macro.name))
        return invoke(macro, *given)

    monkeypatch.setattr(Macro, "_invoke", recorded)
    programme = hostile_programme()
    for made in notices():
        subject, text, html, _ = render(made, programme)
        page = Page(html)
        assert HOSTILE.split()[1] in text, "it is there as it was written"
        assert "<img src=x onerror=alert(1)>" in page.text, "and it is there to be read"
        assert not {"img", "onerror"} & {*page.tags, *page.attributes}, made.kind
        assert "&lt;img" not in page.text, f"{made.kind} escapes it twice"
        assert "img" not in subject
    assert called == macros()


def test_a_template_of_html_cannot_get_at_text_that_nobody_escaped() -> None:
    page = html_environment(*PLACE).from_string('{% import "claims/words.txt" as words %}')
    with pytest.raises(TemplateNotFound):
        page.render()


def test_what_a_macro_of_text_gives_is_text_to_html() -> None:
    claim = about_a_claim("accepted", []).claim
    words = plain_macros(text_environment(*PLACE).get_template("claims/words.txt"), {})
    page = html_environment(*PLACE).from_string("{{ words.about(claim, programme) }}")
    assert "<" not in page.render(words=words, claim=claim, programme=PROGRAMME)
