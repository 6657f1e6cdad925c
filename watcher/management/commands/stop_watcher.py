"""`stop_watcher`: the newer name of `watcher_stop`."""

from watcher.management.commands.watcher_stop import Command as WatcherStop


class Command(WatcherStop):
    """The same command under its newer name."""
