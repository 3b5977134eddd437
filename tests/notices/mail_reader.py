"""Reads a mail as its seller does: the words of both parts, each on one line."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

from notices.notice_samples import nigeria

from vibes_pipeline.notices.content import Notice, Programme
from vibes_pipeline.notices.message import render

PROGRAMME = nigeria()
REFERENCE = re.compile(r"\bNG-[A-Z2-7]{8}\b")
MONEY = re.compile(r"₦[\d,]+\.\d\d")


class Page(HTMLParser):
    """What a reader sees of a page, and which tags and addresses it holds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.attributes: Counter[str] = Counter()
        self._hidden = 0
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.update(name for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag in ("style", "title") or ("class", "preview") in attrs:
            self._hidden += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "title", "div"):
            self._hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def both(made: Notice, programme: Programme = PROGRAMME) -> list[str]:
    """The words of the text and of the HTML part, each on one line."""
    _, text, html, _ = render(made, programme)
    return [" ".join(text.split()), Page(html).text]
