"""``python -m dockgate`` is the ``dockgate`` command."""

from dockgate.cli import main

main()
