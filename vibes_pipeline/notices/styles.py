"""Writes a style sheet into the tags of a template's source, once, when the template is loaded.

Mail programs drop style sheets, so each tag needs a `style` of its own. Here belong the reading of
`style.css` and the writing. What a template prints is not looked at: only the source, which is
ours, has tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"\s*([^{}]+?)\s*\{([^{}]*)\}\s*")
_SELECTOR = re.compile(r"\.?[a-z][a-z0-9]*")
_TAG = re.compile(r'<([a-z][a-z0-9]*)((?:\s+[a-z-]+="[^"]*")*)(\s*/?)>')
_CLASS = re.compile(r'\sclass="([^"]*)"')
_CHOSEN_CLASS = re.compile(r'<[a-z][^<>]*\sclass="[^"]*\{')

Styles = Mapping[str, Mapping[str, str]]


def read_styles(css: str) -> Styles:
    """By selector, in their order, the declarations of a style sheet.

    A selector is one tag or one class; `ValueError` for any other.
    """
    text = _COMMENT.sub("", css).strip()
    styles: dict[str, dict[str, str]] = {}
    at = 0
    while at < len(text):
        rule = _RULE.match(text, at)
        if rule is None or not _SELECTOR.fullmatch(rule[1]):
            raise ValueError(f"the style sheet has more than a tag or class: {text[at : at + 60]}")
        styles.setdefault(rule[1], {}).update(_declarations(rule[2]))
        at = rule.end()
    return styles


def styled(source: str, styles: Styles) -> str:
    """A template's source, each tag with the declarations of its name and of its classes.

    `ValueError` when a template chooses a class while it prints: its style is not known then.
    """
    if chosen := _CHOSEN_CLASS.search(source):
        raise ValueError(f"a class is written out, not chosen by an expression: {chosen[0]}")
    return _TAG.sub(lambda tag: _styled_tag(tag, styles), source)


def _styled_tag(tag: re.Match[str], styles: Styles) -> str:
    name, attributes, end = tag.groups()
    named = _CLASS.search(attributes)
    classes = [f".{word}" for word in named[1].split()] if named else []
    # As in a browser: a class outweighs a tag, and of classes the later in the sheet.
    applied: dict[str, str] = {}
    for selector in [name, *(s for s in styles if s in classes)]:
        for what, value in styles.get(selector, {}).items():
            applied.pop(what, None)
            applied[what] = value
    if not applied:
        return tag[0]
    style = ";".join(f"{what}:{value}" for what, value in applied.items())
    return f'<{name}{attributes} style="{style}"{end}>'


def _declarations(block: str) -> Iterator[tuple[str, str]]:
    for declaration in filter(str.strip, block.split(";")):
        what, _, value = declaration.partition(":")
        yield what.strip(), " ".join(value.split()).replace('"', "'")
