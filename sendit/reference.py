"""The table of all settings: name, kind, default, what it does. `docs/settings.md` is written from it.

Only facts live here; reading is in `sendit/environment.py`, use is in `sendit/settings.py`.
"""

from pathlib import Path

from sendit.environment import (
    AE_TITLE,
    BOOLEAN,
    COUNT,
    HOURS,
    NAMES,
    PATH,
    PORT,
    SECONDS,
    SIZE,
    TEXT,
    URL,
    Setting,
    choice,
)

PREFIXES = ("SENDIT_", "DICOM_", "ORTHANC_", "ORTHAC_", "LOCKDOWN_", "DASHER_", "WATCH_", "DEIDENTIFY_", "ANONYMIZE_")

PROOFS = ("highest", "accepted", "committed", "found", "content")

_NODE, _DATABASE, _QUEUE = "The node", "Database", "Queue and workers"
_INPUT, _IDENTIFIERS, _RECIPE = "Watched folders", "Identifiers", "De-identification"
_OUTPUT, _CLEANUP, _WEB, _KEYS = "Destinations", "Cleanup", "Status pages", "Keys"

SETTINGS: tuple[Setting, ...] = (
    Setting("SENDIT_DATA_DIR", PATH, Path("data"), "Folder of everything the node keeps. On a local disk.", _NODE),
    Setting("SENDIT_LOG_LEVEL", choice("debug", "info", "warning", "error"), "info", "How much is logged.", _NODE),
    Setting("TIME_ZONE", TEXT, "UTC", "Time zone of the pages, e.g. Europe/Berlin.", _NODE),
    Setting("SENDIT_LABEL", TEXT, "", "A word shown on every page, e.g. 'test' or 'production'.", _NODE),
    Setting("SENDIT_MIN_FREE_BYTES", SIZE, 500_000_000, "Below this free space drops wait in the inbox.", _NODE),
    Setting("SENDIT_MAX_FILE_BYTES", SIZE, 16_000_000_000, "Larger files are quarantined, not read.", _NODE),
    Setting("SENDIT_FAULT", TEXT, "", "For tests: NAME:N ends the process at the N-th pass of a failpoint.", _NODE),
    Setting("SENDIT_TEST_FENCE_OFF", BOOLEAN, False, "For tests: workers that lost their lease write on.", _NODE),
    Setting("DATABASE_ENGINE", choice("sqlite", "postgresql"), "sqlite", "Which database.", _DATABASE),
    Setting("DATABASE_PATH", PATH, None, "SQLite file; default: sendit.sqlite3 in the data folder.", _DATABASE),
    Setting("POSTGRES_DB", TEXT, "sendit", "PostgreSQL database name.", _DATABASE),
    Setting("POSTGRES_USER", TEXT, "sendit", "PostgreSQL user.", _DATABASE),
    Setting("POSTGRES_PASSWORD", TEXT, "", "PostgreSQL password.", _DATABASE, secret=True),
    Setting("POSTGRES_HOST", TEXT, "127.0.0.1", "PostgreSQL host, or the folder of its socket.", _DATABASE),
    Setting("POSTGRES_PORT", PORT, 5432, "PostgreSQL port.", _DATABASE),
    Setting(
        "CELERY_BROKER_URL",
        TEXT,
        "",
        "redis://…, amqp://… (RabbitMQ); empty: the folder broker/ in the data folder, no server needed.",
        _QUEUE,
        secret=True,
    ),
    Setting(
        "SENDIT_WORKERS",
        COUNT,
        3,
        "Worker processes of this node; one more than it has cores keeps the destination busy.",
        _QUEUE,
    ),
    Setting(
        "SENDIT_LEASE_SECONDS", SECONDS, 120.0, "A worker that shows no progress for so long loses its item.", _QUEUE
    ),
    Setting("SENDIT_TASK_SECONDS", COUNT, 1800, "Hard limit of one task; the worker process is ended.", _QUEUE),
    Setting(
        "SENDIT_WORKER_MEMORY_BYTES", SIZE, 2_000_000_000, "Address space limit of a worker process; 0: none.", _QUEUE
    ),
    Setting("SENDIT_SWEEP_SECONDS", SECONDS, 1.0, "How often the sweeper looks for due work.", _QUEUE),
    Setting("SENDIT_RETRY_SECONDS", SECONDS, 5.0, "First wait after a transient error; doubles each time.", _QUEUE),
    Setting("SENDIT_RETRY_MAX_SECONDS", SECONDS, 900.0, "Longest wait between two tries.", _QUEUE),
    Setting(
        "SENDIT_WATCH",
        NAMES,
        None,
        "Watched folders: PATH or PATH:MODE or PATH:MODE:QUIET, mode auto, inotify or poll, quiet time in seconds "
        "for producers that cannot rename. Default: inbox in the data folder.",
        _INPUT,
        aliases=("DATA_INPUT_FOLDERS",),
    ),
    Setting("WATCH_RESCAN_SECONDS", SECONDS, 60.0, "Full rescan of every watched folder.", _INPUT),
    Setting("WATCH_POLL_SECONDS", SECONDS, 5.0, "Interval of polled folders.", _INPUT),
    Setting(
        "DEIDENTIFY_RESTFUL",
        BOOLEAN,
        False,
        "yes: identifiers come from the DASHER service; no: keyed pseudonyms, nothing to ask.",
        _IDENTIFIERS,
        aliases=("ANONYMIZE_RESTFUL",),
    ),
    Setting("SENDIT_PROJECT", TEXT, "default", "Project name; another name gives unlinked pseudonyms.", _IDENTIFIERS),
    Setting("DASHER_URL", URL, "https://api.rit.stanford.edu/identifiers/api", "Base address of DASHER.", _IDENTIFIERS),
    Setting("DASHER_VERSION", TEXT, "v1", "Version in DASHER's address.", _IDENTIFIERS),
    Setting("DASHER_STUDY", TEXT, "test", "Study name at DASHER.", _IDENTIFIERS, aliases=("SOM_STUDY",)),
    Setting(
        "STANFORD_CLIENT_SECRETS",
        PATH,
        None,
        "DASHER's token file (accessToken, refreshToken, token_uri); rewritten when the token is refreshed.",
        _IDENTIFIERS,
        aliases=("STANFORD_APPLICATION_CREDENTIALS",),
    ),
    Setting("DASHER_TIMEOUT", SECONDS, 20.0, "Seconds to wait for DASHER's answer.", _IDENTIFIERS),
    Setting("ENTITY_ID", TEXT, "PatientID", "Keyword of the entity's id.", _IDENTIFIERS),
    Setting("ITEM_ID", TEXT, "AccessionNumber", "Keyword of the item's id.", _IDENTIFIERS),
    Setting(
        "SENDIT_RECIPE", TEXT, "basic", "Recipe of destinations that name none: a shipped name or a file.", _RECIPE
    ),
    Setting(
        "SENDIT_OUTBOX", PATH, None, "Folder destination; default: outbox in the data folder, if no other.", _OUTPUT
    ),
    Setting("SENDIT_DESTINATIONS", PATH, None, "TOML file with more destinations.", _OUTPUT),
    Setting(
        "SENDIT_PROOF", choice(*PROOFS), "highest", "What must be proven before SENT; less must be asked for.", _OUTPUT
    ),
    Setting("SEND_TO_ORTHANC", BOOLEAN, False, "Deliver to Orthanc.", _OUTPUT),
    Setting("ORTHANC_IPADDRESS", TEXT, "127.0.0.1", "Orthanc's host.", _OUTPUT),
    Setting("ORTHANC_PORT", PORT, 4747, "Orthanc's DICOM port.", _OUTPUT, aliases=("ORTHAC_PORT",)),
    Setting("ORTHANC_AE_TITLE", AE_TITLE, "ORTHANC", "Orthanc's AE title.", _OUTPUT),
    Setting("ORTHANC_REST_URL", URL, "", "Orthanc's REST address; with it the stored bytes are read back.", _OUTPUT),
    Setting("ORTHANC_REST_USER", TEXT, "", "User of Orthanc's REST interface.", _OUTPUT),
    Setting("ORTHANC_REST_PASSWORD", TEXT, "", "Password of Orthanc's REST interface.", _OUTPUT, secret=True),
    Setting("DICOM_AE_TITLE", AE_TITLE, "SENDIT", "Our AE title.", _OUTPUT),
    Setting("DICOM_COMMITMENT_PORT", PORT, None, "Port for storage commitment answers; empty: not asked for.", _OUTPUT),
    Setting("DICOM_BIND_ADDRESS", TEXT, "127.0.0.1", "Address the commitment port listens on.", _OUTPUT),
    Setting("DICOM_NETWORK_TIMEOUT", SECONDS, 10.0, "A peer that is silent for so long is cut off.", _OUTPUT),
    Setting(
        "SENDIT_CLEANUP",
        BOOLEAN,
        False,
        "yes: remove originals, releases and rows once delivery is proven and the retention time is over.",
        _CLEANUP,
        aliases=("CLEANUP_AFTER_UPLOAD",),
    ),
    Setting("SENDIT_RETENTION_HOURS", HOURS, 24.0, "How long a proven series is kept before cleanup.", _CLEANUP),
    Setting("SENDIT_WEB_BIND", TEXT, "127.0.0.1:8080", "Address of the status pages.", _WEB),
    Setting("ALLOWED_HOSTS", NAMES, ["localhost", "127.0.0.1", "[::1]"], "Host names the pages answer to.", _WEB),
    Setting("CSRF_TRUSTED_ORIGINS", NAMES, [], "Origins behind a TLS proxy, e.g. https://sendit.example.org.", _WEB),
    Setting("SENDIT_HTTPS", BOOLEAN, False, "The pages are served over TLS (cookies and redirects follow).", _WEB),
    Setting("LOCKDOWN_ENABLED", BOOLEAN, True, "The lock in front of every page.", _WEB),
    Setting(
        "LOCKDOWN_PASSWORDS",
        NAMES,
        None,
        "Passwords that open the pages; default: one is made on first start.",
        _WEB,
        secret=True,
    ),
    Setting("LOCKDOWN_URL_EXCEPTIONS", NAMES, [], "Paths open without a password, e.g. /api/metrics.", _WEB),
    Setting(
        "LOCKDOWN_TRUSTED_PROXIES",
        NAMES,
        [],
        "Addresses of reverse proxies whose X-Forwarded-For is believed when guesses are counted.",
        _WEB,
    ),
    Setting("SECRET_KEY", TEXT, None, "Django's secret; default: made on first start.", _KEYS, secret=True),
    Setting(
        "ENCRYPTION_KEY", NAMES, None, "Fernet key(s) of the vault, newest first; default: made.", _KEYS, secret=True
    ),
    Setting(
        "SENDIT_INDEX_KEY", TEXT, None, "Key of the blind index (64 hex digits); default: made.", _KEYS, secret=True
    ),
    Setting("SENDIT_PSEUDONYM_KEY", TEXT, None, "Key of pseudonyms and UIDs (64 hex digits).", _KEYS, secret=True),
    Setting("DEBUG", BOOLEAN, False, "Django's debug mode; refused unless the pages are bound to 127.0.0.1.", _WEB),
)
