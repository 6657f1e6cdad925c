"""How gunicorn serves the status pages: ``gunicorn --config python:sendit.gunicorn sendit.wsgi``.

Only what gunicorn reads as configuration stands here; the address comes from the settings.
"""

from pathlib import Path

from django.conf import settings

bind = settings.SENDIT_WEB_BIND
workers = 1
threads = 8
graceful_timeout = 5
loglevel = "warning"
control_socket_disable = True
if Path("/dev/shm").is_dir():  # gunicorn touches a file every second as its sign of life: not on a disk
    worker_tmp_dir = "/dev/shm"
