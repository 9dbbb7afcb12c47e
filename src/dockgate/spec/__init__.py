"""The user's file: its shape, its problems with their places, and its meaning as ``model.Desired``. No I/O here.

``load`` is the way in; ``edges.files.load_file`` reads the file and the secrets for it.
"""

from .key_files import NoKeyFiles, ReadKeyFiles
from .load import Loaded, load, project_name
from .problems import Note, Problem, SpecError
from .secrets import ReadSecret, SecretText, SecretUnavailable

__all__ = [
    "Loaded",
    "NoKeyFiles",
    "Note",
    "Problem",
    "ReadKeyFiles",
    "ReadSecret",
    "SecretText",
    "SecretUnavailable",
    "SpecError",
    "load",
    "project_name",
]
