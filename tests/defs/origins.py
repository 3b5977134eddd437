"""Where Dagster's daemon finds our jobs and schedules, for tests that put a past into its storage.

It knows them by the code location that `workspace.yaml` names.
"""

from __future__ import annotations

from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

DEFINITIONS = "vibes_pipeline.definitions"


def _repository(module: str) -> RemoteRepositoryOrigin:
    place = LoadableTargetOrigin(module_name=module)
    return RemoteRepositoryOrigin(
        ManagedGrpcPythonEnvCodeLocationOrigin(place, "vibes-ng"), "__repository__"
    )


def of_schedule(name: str, module: str = DEFINITIONS) -> RemoteInstigatorOrigin:
    return RemoteInstigatorOrigin(_repository(module), name)


def of_job(name: str) -> RemoteJobOrigin:
    return RemoteJobOrigin(_repository(DEFINITIONS), name)
