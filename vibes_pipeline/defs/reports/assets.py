"""What operations and the owners of the policy read: the page on each week, the morning's mail."""

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.defs.sql_assets import kept_in
from vibes_pipeline.operations import morning
from vibes_pipeline.reports.page import report_address, weeks_address, write_report


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The week's page and the operators' mail."""
    return [_week(location), operators_mail]


def _week(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["reports", "week"],
        deps=[["finance", "charges"], ["notices", "post_implementation_mails"]],
        kinds={"html"},
        partitions_def=location.weekly,
        description=(
            "One page on the week, to open in a browser: what was decided and implemented, the "
            "charges of the last weeks, sellers by band, upheld claims, notices not delivered, and "
            "what awaits a person. `vibes report` writes it anew at any time.\n\n[All "
            f"weeks]({weeks_address(location.policy)})"
        ),
    )
    def week(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """Write the cycle's page and the list of all weeks."""
        run = vibes.slot_run(Slot.WEEKLY_IMPLEMENTATION, context)
        shown, file = write_report(vibes.ledger, vibes.settings, vibes.policy, run.period, run.now)
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(report_address(vibes.policy, run.period)),
                "file": dg.MetadataValue.path(file),
                "actions_decided": shown.decided,
                "actions_implemented": shown.implemented,
                "charged": run.policy.money(shown.debited),
                "charged_ngn": float(shown.debited),
                "reversed": run.policy.money(-shown.credited),
                "notices_not_delivered": len(shown.undelivered),
                "awaiting_evidence": len(shown.awaiting_evidence),
                "account_reviews": len(shown.reviews),
            }
        )

    return week


@dg.asset(
    key=["reports", "operators_mail"],
    deps=[CLAIMS_STEP, ["notices", "late_alerts"]],
    kinds={"email"},
    metadata=kept_in("ledger.operators_mail_states"),
    description=(
        "One mail a day to each operator: what waits for a person, what is for information, and "
        "what was done the day before (Rulebook §17).\n\nEach line has its count, the change since "
        "the mail before, and the command to go to. It is sent once a day, however often this is "
        "made. It fails when an operator was not reached; what a relay did not take is sent again "
        "by itself."
    ),
)
def operators_mail(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
    """Plan the day's mail, once a day, and send what is due."""
    outcomes = morning.send(vibes.ledger, vibes.settings, vibes.policy, vibes.clock)
    told = morning.told_last(vibes.ledger)
    return dg.MaterializeResult(
        metadata={**{str(status): count for status, count in sorted(outcomes.items())}, **told}
    )
