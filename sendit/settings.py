"""Django's settings, all from the environment (see `sendit/reference.py`); nothing is decided by editing this file."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from sendit import keys, transport
from sendit.environment import Environment
from sendit.reference import PREFIXES, RETIRED, SETTINGS

ENVIRONMENT = Environment.read(SETTINGS, PREFIXES, retired=RETIRED)
_v = ENVIRONMENT.values

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR: Path = _v["SENDIT_DATA_DIR"].absolute()
KEYS_DIR = DATA_DIR / "keys"
WORK_DIR = DATA_DIR / "work"
DROPS_DIR = WORK_DIR / "drops"
RELEASES_DIR = WORK_DIR / "releases"
CERTIFICATES_DIR = DATA_DIR / "certificates"
RUN_DIR = DATA_DIR / "run"
LOGS_DIR = DATA_DIR / "logs"
for _folder in (WORK_DIR, DROPS_DIR, RELEASES_DIR, RUN_DIR, LOGS_DIR):
    _folder.mkdir(parents=True, exist_ok=True, mode=0o700)


@dataclass(frozen=True)
class WatchFolder:
    """One watched folder: its path, `auto`, `inotify` or `poll`, and the quiet time in seconds (0: names decide)."""

    path: Path
    mode: str = "auto"
    quiet: float = 0.0


def _watch_folder(text: str) -> WatchFolder:
    path, _, rest = text.partition(":")
    mode, _, quiet = rest.partition(":")
    try:
        folder = WatchFolder(Path(path).expanduser().absolute(), mode or "auto", float(quiet or 0))
    except ValueError:
        folder = WatchFolder(Path(path), "?")
    if folder.mode not in {"auto", "inotify", "poll"} or folder.quiet < 0:
        raise ImproperlyConfigured(
            f"SENDIT_WATCH: {text!r} is not PATH or PATH:MODE or PATH:MODE:QUIET with mode auto, inotify or poll "
            "and quiet in seconds."
        )
    return folder


if _v["SENDIT_WATCH"] is None:
    WATCH_FOLDERS = [WatchFolder(DATA_DIR / "inbox")]
    WATCH_FOLDERS[0].path.mkdir(parents=True, exist_ok=True)
else:
    WATCH_FOLDERS = [_watch_folder(text) for text in _v["SENDIT_WATCH"]]
DICOM_FOLDER: Path = (_v["DICOM_FOLDER"] or DATA_DIR / "received").absolute()
try:
    DICOM_FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
except OSError as _error:
    raise ImproperlyConfigured(f"DICOM_FOLDER: the folder cannot be made ({_error.strerror}).") from None
if DICOM_FOLDER not in [folder.path for folder in WATCH_FOLDERS]:
    WATCH_FOLDERS.append(WatchFolder(DICOM_FOLDER))
if _v["DICOM_HIGH_BYTES"] < _v["DICOM_LOW_BYTES"]:
    raise ImproperlyConfigured("DICOM_HIGH_BYTES must not be less than DICOM_LOW_BYTES.")
if _v["SENDIT_VALIDITY"] and not shutil.which("dciodvfy"):
    raise ImproperlyConfigured(
        "SENDIT_VALIDITY=yes needs the program dciodvfy, which is not there: install the Debian package dicom3tools."
    )
if _v["DICOM_TLS_PORT"] and not (_v["DICOM_TLS_CERTIFICATE"] and _v["DICOM_TLS_KEY"]):
    raise ImproperlyConfigured("DICOM_TLS_PORT needs DICOM_TLS_CERTIFICATE and DICOM_TLS_KEY.")
if _v["DICOM_TLS_PORT"] and _v["DICOM_TLS_PORT"] == _v["DICOM_PORT"]:
    raise ImproperlyConfigured("DICOM_TLS_PORT and DICOM_PORT are the same: give TLS a port of its own.")
WATCH_RESCAN_SECONDS: float = _v["WATCH_RESCAN_SECONDS"]
WATCH_POLL_SECONDS: float = _v["WATCH_POLL_SECONDS"]

# --- Django ---------------------------------------------------------------------------------------------------------
DEBUG: bool = _v["DEBUG"]
SECRET_KEY: str = _v["SECRET_KEY"] or keys.read_or_make(KEYS_DIR, "django")
ALLOWED_HOSTS: list[str] = _v["ALLOWED_HOSTS"]
CSRF_TRUSTED_ORIGINS: list[str] = _v["CSRF_TRUSTED_ORIGINS"]
SENDIT_WEB_BIND: str = _v["SENDIT_WEB_BIND"]
if DEBUG and not SENDIT_WEB_BIND.startswith(("127.0.0.1:", "localhost:")):
    raise ImproperlyConfigured("DEBUG=yes shows data on error pages: it needs SENDIT_WEB_BIND=127.0.0.1:PORT.")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "lockdown",
    "main",
    "watcher",
    "receiver",
    "api",
    "web",
]
# The lock stands behind sessions and CSRF and before everything that answers, files included.
MIDDLEWARE = [
    "web.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "web.lock.LockMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "sendit.urls"
WSGI_APPLICATION = "sendit.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "web.context.page",
            ]
        },
    }
]
# JSON only; `rest_framework` is no installed application, so none of its pages and files are there.
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.tokens.ByToken"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],  # a view says itself who may
    "EXCEPTION_HANDLER": "api.errors.answered",
}
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
CSRF_FAILURE_VIEW = "web.views.access.csrf_failure"
LANGUAGE_CODE = "en"
TIME_ZONE: str = _v["TIME_ZONE"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _v["SENDIT_HTTPS"]
SECURE_HSTS_SECONDS = 31_536_000 if _v["SENDIT_HTTPS"] else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _v["SENDIT_HTTPS"] else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

if _v["DATABASE_ENGINE"] == "postgresql":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _v["POSTGRES_DB"],
            "USER": _v["POSTGRES_USER"],
            "PASSWORD": _v["POSTGRES_PASSWORD"],
            "HOST": _v["POSTGRES_HOST"],
            "PORT": _v["POSTGRES_PORT"],
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {"connect_timeout": 5},
        }
    }
else:
    SQLITE_FILE: Path = _v["DATABASE_PATH"] or DATA_DIR / "sendit.sqlite3"
    SQLITE_FILE.touch(mode=0o600)
    # FULL: with WAL and NORMAL a power cut may drop the last commits although a drop was already consumed.
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": SQLITE_FILE,
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            },
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _v["SENDIT_LOG_LEVEL"].upper()},
    # Parsers and peers echo values of the header in their messages: their loggers stay shut.
    "loggers": {
        "receiver": {"level": _v["DICOM_LOG_LEVEL"].upper()},
        "dimse.server": {"level": _v["DICOM_LOG_LEVEL"].upper()},
        "pydicom": {"handlers": [], "propagate": False, "level": "CRITICAL"},
        "pynetdicom": {"handlers": [], "propagate": False, "level": "CRITICAL"},
        "py.warnings": {"handlers": [], "propagate": False, "level": "CRITICAL"},
        # At DEBUG these two print SQL parameters and template values.
        "django.db.backends": {"level": "INFO"},
        "django.template": {"level": "INFO"},
        "celery.redirected": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
logging.captureWarnings(True)

# --- Celery: carries bells, remembers nothing -------------------------------------------------------------------------
CELERY_BROKER_URL: str = _v["CELERY_BROKER_URL"] or transport.url(DATA_DIR / "broker")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_TIME_LIMIT: int = _v["SENDIT_TASK_SECONDS"]
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONCURRENCY: int = _v["SENDIT_WORKERS"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"socket_timeout": 3, "socket_connect_timeout": 2}
    if CELERY_BROKER_URL.startswith(("redis", "rediss"))
    else transport.OPTIONS
    if CELERY_BROKER_URL.startswith(transport.SCHEME)
    else {}
)

# --- the rest, by the names of the reference ---------------------------------------------------------------------------
LOCKDOWN_ENABLED: bool = _v["LOCKDOWN_ENABLED"]
LOCKDOWN_PASSWORDS: tuple[str, ...] = tuple(_v["LOCKDOWN_PASSWORDS"] or (keys.read_or_make(KEYS_DIR, "password"),))
LOCKDOWN_URL_EXCEPTIONS: tuple[str, ...] = tuple(_v["LOCKDOWN_URL_EXCEPTIONS"])


# Settings that need no more than their value, e.g. `settings.SENDIT_RECIPE`.
globals().update({name: value for name, value in _v.items() if name not in globals()})
