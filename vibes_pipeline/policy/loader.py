"""Reads a policy file, strictly: every error names the file, the line and the key.

Here belong finding the file, reading YAML so that nothing is guessed, and wording the errors; what
a policy must hold is `model`'s.

Scalars are kept as the text they are written with: YAML's own guesses (`no` as false, `23:00` as
1380, `2.50` as a binary float) never happen. Aliases, tags and several documents are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vibes_pipeline.errors import PolicyError, UsageError
from vibes_pipeline.policy.model import Policy, PolicyContent
from vibes_pipeline.policy.parameter import Key

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def known_countries() -> list[str]:
    """The countries that have a policy file in this package, in lower case."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))


def load_policy(country: str | None = None, path: Path | None = None) -> Policy:
    """The policy in the file at `path`, or else the packaged one of `country` (such as `ng`).

    UsageError for an unknown country or a missing file; PolicyError, with file, line and key, for
    a file that is not strictly a policy.
    """
    source = path or _packaged(country)
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no policy file {source}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"{source}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise PolicyError(f"{source}: cannot be read: {error.strerror}") from None
    return parse_policy(source, text)


@lru_cache(maxsize=8)
def parse_policy(source: Path, text: str) -> Policy:
    """The policy that a text holds; errors name `source` as where it stands.

    A policy never changes, so the same text gives the same one: each slot of a replay asks again.
    """
    document = _parse(source, text)
    return _policy(source, text, document, _version(document.content))


@lru_cache(maxsize=8)
def parse_former_policy(source: Path, text: str, present: str) -> Policy:
    """A policy that actions were decided under; what it lacks is as in the present one's text.

    A parameter that is younger than the policy decided nothing under it, so any value will do. The
    version stays that of the text.
    """
    document = _parse(source, text)
    version = _version(document.content)
    try:
        PolicyContent.model_validate(document.content)
    except ValidationError as error:
        young = [e["loc"] for e in error.errors(include_url=False) if e["type"] == "missing"]
        _fill(document.content, _parse(source, present).content, young)
    return _policy(source, text, document, version)


def _policy(source: Path, text: str, document: _Document, version: str) -> Policy:
    try:
        content = PolicyContent.model_validate(document.content)
    except ValidationError as error:
        raise PolicyError(_first_problem(source, document, error)) from None
    return Policy.model_construct(**dict(content), source=source, text=text, version=version)


def _fill(content: Any, present: Any, keys: Iterable[Key]) -> None:
    """Set each key as it is at present, where that has it."""
    for *path, last in keys:
        group, given = content, present
        with suppress(LookupError, TypeError):
            for step in path:
                group, given = group[step], given[step]
            group[last] = given[last]


def _packaged(country: str | None) -> Path:
    known = known_countries()
    if country is None or country.lower() not in known:
        wanted = "no country named" if country is None else f"no policy for country {country!r}"
        raise UsageError(f"{wanted}; known: {', '.join(known)}, or name a policy file")
    return Path(__file__).with_name(f"{country.lower()}.yaml")


def _version(content: object) -> str:
    """Hash of what the file says; comments, whitespace and the order of keys do not matter."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


# --- YAML to plain data -------------------------------------------------------------------------


@dataclass
class _Document:
    """A file as nested dicts, lists and text, with the line of each key."""

    content: object = None
    lines: dict[Key, int] = field(default_factory=dict)


def _parse(source: Path, text: str) -> _Document:
    try:
        return _Reader(source, yaml.parse(text, Loader=_Loader)).read()
    except yaml.MarkedYAMLError as error:
        line = getattr(error.problem_mark, "line", 0) + 1
        raise PolicyError(f"{source}, line {line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise PolicyError(f"{source}: not YAML: {' '.join(str(error).split())}") from None


class _Reader:
    """Builds a document from YAML's events."""

    def __init__(self, source: Path, events: Iterator[Any]) -> None:
        self.source = source
        self.events = events
        self.document = _Document()

    def read(self) -> _Document:
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise PolicyError(f"{self.source}: empty; a policy is a mapping of keys")
        self.document.content = self._node(next(self.events), ())
        next(self.events)  # the document's end
        if not isinstance(event := next(self.events), yaml.StreamEndEvent):
            raise self._error(event, (), "a second YAML document; a policy file holds one")
        return self.document

    def _node(self, event: Any, key: Key) -> object:
        self.document.lines.setdefault(key, _line(event))
        if isinstance(event, yaml.AliasEvent):
            raise self._error(event, key, "an alias; write the value out")
        if event.anchor is not None or event.tag is not None:
            raise self._error(event, key, "an anchor or a tag; leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(key)
        return self._mapping(key)

    def _sequence(self, key: Key) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*key, len(items))))
        return items

    def _mapping(self, key: Key) -> dict[str, object]:
        items: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, key, "a key that is not plain text")
            name = event.value
            if name in items:
                raise self._error(
                    event,
                    (*key, name),
                    f"duplicate key, first in line {self.document.lines[(*key, name)]}",
                )
            self.document.lines[(*key, name)] = _line(event)
            items[name] = self._node(next(self.events), (*key, name))
        return items

    def _error(self, event: Any, key: Key, message: str) -> PolicyError:
        return PolicyError(f"{self.source}, line {_line(event)}: {_spell(key)}{message}")


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


# --- errors -------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class _Problem:
    line: int
    text: str


_WORDS = {
    "missing": "required key is missing",
    "extra_forbidden": "unknown key; remove it or mend its spelling",
    "model_type": "should be a mapping of keys",
    "dict_type": "should be a mapping of keys",
    "tuple_type": "should be a list",
}


def _first_problem(source: Path, document: _Document, error: ValidationError) -> str:
    """The problem that stands first in the file, and how many more there are."""
    problems = sorted(_problem(document, found) for found in error.errors(include_url=False))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{source}, line {problems[0].line}: {problems[0].text}{more}"


def _problem(document: _Document, found: Mapping[str, Any]) -> _Problem:
    context = found.get("ctx", {})
    key = _key_in_file(document, (*found["loc"], *context.get("at", ())))
    line = document.lines[key]
    if found["type"] == "missing":
        key = (*key, found["loc"][-1])
    message = _WORDS.get(found["type"]) or _plain(found, context)
    return _Problem(line, f"{_spell(key)}{message}")


def _plain(found: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    message = str(context.get("error") or found["msg"])
    return " ".join(message.replace("Input should", "should").split())


def _key_in_file(document: _Document, loc: Key) -> Key:
    """The deepest key of the file on that path; steps that the file does not have are left out."""
    key: Key = ()
    for step in loc:
        if (*key, step) in document.lines:
            key = (*key, step)
    return key


def _spell(key: Key) -> str:
    """`order_regulation.bands.values[0]: `, or nothing for the whole file."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in key)
    return f"{steps.removeprefix('.')}: " if steps else ""
