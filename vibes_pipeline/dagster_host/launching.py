"""What may be started in the web UI: jobs, and the assets that may be made by themselves.

A slot is done as a whole (Rulebook §2), so "Materialize all" over the lineage, or over a part of a
slot, could only be refused. Dagster lets one start what one owns: here nobody may start anything
but what the team on call owns. So the buttons of other assets are off and say why, and the server
refuses what they would ask for before a run is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import dagster_webserver
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.permissions import PermissionResult, Permissions
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from vibes_pipeline.defs.lineage import ON_CALL

# What the UI asks once a button was pressed: that of a job asks it of all the job's assets. Whoever
# sends another request under such a name makes a run that ends before its first step.
ASKED_BY_A_BUTTON = frozenset({"LaunchAssetLoaderQuery", "AssetsPermissionsQuery"})
# A backfill is a run for each of many periods, but a slot is run for the oldest missing one.
STARTING = (Permissions.LAUNCH_PIPELINE_EXECUTION, Permissions.LAUNCH_PARTITION_BACKFILL)
WHY_OFF = "A slot is done as a whole: start its job"
# What Dagster's own scripts say of such a button, as if others could press it.
SAID_BY_DAGSTER = "You do not have permission to materialize assets"
OFF = PermissionResult(enabled=False, disabled_reason=WHY_OFF)
ON = PermissionResult(enabled=True, disabled_reason=None)

Granted = Mapping[str, PermissionResult]


class JobsAlone(WorkspaceProcessContext):
    """Dagster's context of a web server, whose users may start what the team on call owns."""

    def create_request_context(self, source: object | None = None) -> WorkspaceRequestContext:
        """What one request sees and may do."""
        return _Request(
            instance=self._instance,
            current_workspace=self.get_current_workspace(),
            process_context=self,
            version=self.version,
            source=source,
            read_only=self._read_only,
        )


class _Request(WorkspaceRequestContext):
    @property
    def permissions(self) -> Granted:
        return _without_starting(super().permissions)

    def permissions_for_location(self, *, location_name: str) -> Granted:
        return _without_starting(super().permissions_for_location(location_name=location_name))

    def viewer_has_any_owner_definition_permissions(self) -> bool:
        return not self.read_only

    def permissions_for_owner(self, *, owner: str) -> Granted:
        is_theirs = owner == ON_CALL or self._is_asked_by_a_button
        may_start = is_theirs and not self.read_only
        return {Permissions.LAUNCH_PIPELINE_EXECUTION: ON} if may_start else {}

    @property
    def _is_asked_by_a_button(self) -> bool:
        source = self.source
        return isinstance(source, HTTPConnection) and (
            source.query_params.get("op") in ASKED_BY_A_BUTTON
        )


def reworded_scripts() -> list[Route]:
    """Dagster's scripts that speak of the buttons, with our words; none if it speaks otherwise."""
    build = Path(dagster_webserver.__file__).parent / "webapp" / "build"
    scripts = {
        file.relative_to(build).as_posix(): text
        for file in build.glob("_next/static/chunks/*.js")
        if SAID_BY_DAGSTER in (text := file.read_text(encoding="utf-8"))
    }
    return [
        Route(f"/{place}", partial(_script, text.replace(SAID_BY_DAGSTER, WHY_OFF)))
        for place, text in scripts.items()
    ]


async def _script(text: str, _: Request) -> Response:
    return Response(text, media_type="text/javascript")


def _without_starting(granted: Granted) -> Granted:
    return {name: OFF if name in STARTING else result for name, result in granted.items()}
