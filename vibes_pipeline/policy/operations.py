"""When operators are told what waits for them (Rulebook §17). What they are told is not policy."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from vibes_pipeline.calendar import local_instant
from vibes_pipeline.policy.parameter import Group, Parameter, Strict
from vibes_pipeline.policy.scalars import Flag, Time


class OperatorsMail(Strict):
    """A local time of every day, and whether a mail goes out though nothing waits for a person."""

    time: Time
    is_sent_when_nothing_waits: Flag


class Operations(Group):
    """The morning's mail to operators (Rulebook §17)."""

    operators_mail: Parameter[OperatorsMail]

    def mail_due_at(self, day: date, time_zone: ZoneInfo) -> datetime:
        """When the mail of a local day is due."""
        return local_instant(day, self.operators_mail.on(day).time, time_zone)

    def crons(self, since: date) -> list[str]:
        """The cron lines of its times that hold on a local date or later, each once."""
        later = [dated.from_ for dated in self.operators_mail.values if dated.from_ > since]
        times = (self.operators_mail.on(day).time for day in (since, *later))
        return list(dict.fromkeys(f"{at.minute} {at.hour} * * *" for at in times))
