"""`start_watcher`: the newer name of `watcher_start`."""

from watcher.management.commands.watcher_start import Command as WatcherStart


class Command(WatcherStart):
    """The same command under its newer name."""
