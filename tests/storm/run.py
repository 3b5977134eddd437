"""Storms over warehouses: which seeds share one, what each does, and the judgement of each.

Here belongs the running of seeds. A seed that harms a few rows shares a warehouse with others, each
in a marketplace of its own, for a slot takes as long over one as over many; what fails or is stopped
together is run alone. A seed that harms many rows, or whole tables, has its warehouse to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from rules.marketplace import NIGERIA, amended
from storm.course import BEFORE, COURSE, STORM, Course, Moment, Place, Record, Start
from storm.files import write
from storm.judge import Fault, Judge, Storm
from storm.mutations import Edit, many_rows, of_rows, of_tables
from storm.world import Tables, together, world

from vibes_pipeline.policy import Policy

MARKETPLACES = 12
# The moments from and to which a storm may last; mostly it meets all five slots.
FIRST = (*(STORM[0],) * 6, STORM[1], STORM[3], STORM[4], STORM[5])
LAST = (*(STORM[4],) * 5, *(STORM[5],) * 3, STORM[3], STORM[1])


@dataclass(frozen=True)
class Seed:
    """One storm by its number: what it harms, in which of the marketplaces."""

    number: int
    place: int
    storm: Storm
    told: Sequence[str]
    edits: Sequence[Edit] = field(default=(), repr=False)

    @property
    def is_alone(self) -> bool:
        return not self.storm.prefix

    @property
    def is_lenient(self) -> bool:
        """Whether bad rows alone stop no slot, however many: what they do to others is to be seen."""
        return not self.is_alone or self.number % 24 == 5


@dataclass(frozen=True)
class Verdict:
    """What came of a seed: its faults, and how each slot of the storm ended."""

    number: int
    told: Sequence[str]
    faults: Sequence[Fault]
    endings: Sequence[str]


@dataclass
class Storms:
    """A place prepared for storms: the good weeks before, and the course without any."""

    place: Place
    starts: dict[Moment, Start] = field(default_factory=dict)
    _ends: dict[tuple[Moment, int], Record] = field(default_factory=dict)

    def verdicts(self, numbers: Sequence[int]) -> Iterator[Verdict]:
        """Each seed's, those that may share a warehouse together."""
        assert self.undisturbed
        alone = [n for n in numbers if self.seed(n, 0).is_alone]
        shared = [n for n in numbers if n not in set(alone)]
        for number in alone:
            yield self.verdict(self.seed(number, 0))
        for first in range(0, len(shared), MARKETPLACES):
            batch = shared[first : first + MARKETPLACES]
            yield from self._together([self.seed(n, at) for at, n in enumerate(batch)])

    def verdict(self, seed: Seed) -> Verdict:
        """Of a seed that has its warehouse to itself."""
        return self._judged(seed, self._run([seed]))

    def seed(self, number: int, place: int) -> Seed:
        random = Random(number)
        first, last = random.choice(FIRST), random.choice(LAST)
        if last.at < first.at:
            first = last
        match number % 12:
            case 0 | 3 | 6 | 9:
                harm, good, prefix = of_tables(self._all, random), self._all, ""
            case 5:
                harm, good, prefix = many_rows(self._all, random), self._all, ""
            case _:
                good, prefix = self._worlds[place], _prefix(place)
                harm = of_rows(good, random)
        storm = Storm(good, harm.tables, first, last, prefix, harm.table)
        return Seed(number, place, storm, harm.told, harm.edits)

    @cached_property
    def undisturbed(self) -> Record:
        """The course over the good load; what stands before each moment of a storm is kept."""
        with self.place.begun(self.place.empty(), self._lenient) as course:
            for moment in BEFORE:
                course.run(moment, self._good)
            assert all(o.is_done for o in course.record.outcomes), course.record.outcomes
            start = self.place.kept(course)
        with self.place.begun(start, self._lenient) as course:
            for moment in COURSE:
                if moment in STORM:
                    self.starts[moment] = self.place.kept(course)
                course.run(moment, self._good)
            record = course.end()
        assert all(o.is_done for o in record.outcomes), record.outcomes
        return record

    def _together(self, seeds: Sequence[Seed]) -> Iterator[Verdict]:
        """Of seeds that share a warehouse; they part when a slot is stopped, or about a fault."""
        record = self._run(seeds)
        if len(seeds) > 1 and not all(outcome.is_done for outcome in record.outcomes):
            yield from self._together(seeds[: len(seeds) // 2])
            yield from self._together(seeds[len(seeds) // 2 :])
            return
        for seed in seeds:
            verdict = self._judged(seed, record)
            is_to_be_sure = len(seeds) > 1 and verdict.faults
            yield self.verdict(seed) if is_to_be_sure else verdict

    def _judged(self, seed: Seed, record: Record) -> Verdict:
        endings = [
            f"{o.due.slot}: "
            + ("done" if o.is_done else "crash" if o.crash else type(o.error).__name__)
            for o in record.outcomes
            if seed.storm.is_on(o.at)
        ]
        faults = [*Judge(seed.storm, record, self.undisturbed).faults()]
        return Verdict(seed.number, seed.told, faults, endings)

    def _run(self, seeds: Sequence[Seed]) -> Record:
        first = min((s.storm.first for s in seeds), key=COURSE.index)
        last = max((s.storm.last for s in seeds), key=COURSE.index)
        policy = self._lenient if seeds[0].is_lenient else NIGERIA
        with self.place.begun(self.starts[first], policy) as course:
            for moment in COURSE[COURSE.index(first) : COURSE.index(last) + 1]:
                course.run(moment, self._warehouse(course, seeds, moment))
                if len(seeds) > 1 and not course.record.outcomes[-1].is_done:
                    return course.record
            return course.record.then(self._end(course, last))

    def _end(self, course: Course, last: Moment) -> Record:
        """The good load after the storm; once for all courses that have come to the same ledger.

        What the lake holds counts too, so a course that decided a cycle under the storm goes on by
        itself.
        """
        decided = any(o.is_done and o.due.slot == "weekly-alert" for o in course.record.outcomes)
        key = (last, course.contents())
        if decided or key not in self._ends:
            course.record = Record()
            for moment in COURSE[COURSE.index(last) + 1 :]:
                course.run(moment, self._good)
            end = course.end()
            if decided:
                return end
            self._ends[key] = end
        return self._ends[key]

    def _warehouse(self, course: Course, seeds: Sequence[Seed], moment: Moment) -> Path:
        """The warehouse at a moment: the marketplaces under a storm harmed, the others good."""
        harmed = {s.place: s for s in seeds if s.storm.is_on(moment.at)}
        if not harmed:
            return self._good
        folder = course.home / f"raw-{'-'.join(str(s.number) for s in harmed.values())}"
        if folder.exists():
            return folder
        if seeds[0].is_alone:
            tables = seeds[0].storm.harmed
        else:
            tables = together(
                *(
                    harmed[at].storm.harmed if at in harmed else good
                    for at, good in enumerate(self._worlds)
                )
            )
        write(tables, folder)
        for edit in seeds[0].edits if seeds[0].is_alone else ():
            edit(folder)
        return folder

    @cached_property
    def _worlds(self) -> list[Tables]:
        return [world(_prefix(place)) for place in range(MARKETPLACES)]

    @cached_property
    def _all(self) -> Tables:
        return together(*self._worlds)

    @cached_property
    def _good(self) -> Path:
        return write(self._all, self.place.folder / "good")

    @cached_property
    def _lenient(self) -> Policy:
        """Nigeria's policy without a limit to bad rows."""
        return amended(self.place.folder, ("warehouse.bad_row_limit_pct", "2016-01-02", "100"))


def _prefix(place: int) -> str:
    return f"m{place:02}-"
