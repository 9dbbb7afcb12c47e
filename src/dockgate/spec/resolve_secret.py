"""Resolve a secret: from where the file says that it is kept to its value, with what is wrong told at its place."""

from __future__ import annotations

from .job import Job
from .path import Path
from .problems import quote
from .schema_base import SecretSpec
from .secrets import SecretText, SecretUnavailable, fault_of


def read_password(job: Job, at: Path, spec: SecretSpec) -> str:
    """The secret's value, or "" after a problem."""
    if (spec.file is None) == (spec.env is None):
        if job.tree.whole(*at):
            job.problem(at, "a secret is kept in exactly one place", "write either {file: …} or {env: …}")
        return ""
    where = (*at, "file") if spec.file is not None else (*at, "env")
    origin = f"the file {quote(spec.file)}" if spec.file is not None else f"the variable {spec.env}"
    try:
        secret = _read(job, spec)
    except SecretUnavailable as error:
        job.problem(where, error.what, error.hint)
        return ""
    if fault := fault_of(secret.value):
        job.problem(where, f"the secret in {origin} {fault}", "put one line of text there")
        return ""
    if secret.note:
        job.note(where, secret.note)
    return secret.value


def _read(job: Job, spec: SecretSpec) -> SecretText:
    return job.read_secret("file", spec.file) if spec.file is not None else job.read_secret("env", spec.env or "")
