"""The table of all settings: name, kind, default, what it does. `docs/settings.md` is written from it.

Only facts live here; reading is in `sendit/environment.py`, use is in `sendit/settings.py`.
"""

from pathlib import Path

from sendit.environment import (
    AE_TITLE,
    BIND_ADDRESS,
    BOOLEAN,
    COUNT,
    HOURS,
    MODALITIES,
    NAMES,
    NETWORKS,
    PATH,
    PDU_SIZE,
    PORT,
    PORT_OR_OFF,
    SECONDS,
    SIZE,
    SOP_CLASSES,
    TEXT,
    UID_ROOT,
    URL,
    Setting,
    choice,
)

PREFIXES = (
    "SENDIT_",
    "DICOM_",
    "ORTHANC_",
    "ORTHAC_",
    "LOCKDOWN_",
    "DASHER_",
    "GPAS_",
    "WATCH_",
    "DEIDENTIFY_",
    "ANONYMIZE_",
)

PROVIDERS = ("keyed", "sequential", "csv", "dasher", "gpas")
GPAS_APIS = ("gpas", "gpas-1.10.2", "mii-1.0", "mii-1.1", "mii-2026")
PROOFS = ("highest", "accepted", "committed", "found", "content")

_NODE, _DATABASE, _QUEUE = "The node", "Database", "Queue and workers"
_INPUT, _IDENTIFIERS, _RECIPE = "Watched folders", "Identifiers", "De-identification"
_RECEIVER = "DICOM receiver"
_OUTPUT, _CLEANUP, _WEB, _KEYS = "Destinations", "Cleanup", "Status pages", "Keys"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "SENDIT_DATA_DIR",
        PATH,
        Path("data"),
        "Folder of everything the node keeps. On a local disk.",
        _NODE,
        aliases=("DICOM_RECEIVER_DATA_DIR",),
    ),
    Setting(
        "SENDIT_LOG_LEVEL",
        choice("debug", "info", "warning", "error", "critical"),
        "info",
        "How much is logged.",
        _NODE,
    ),
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
    Setting("DICOM_AUTO_START", BOOLEAN, True, "The receiver is part of `manage.py node`.", _RECEIVER),
    Setting(
        "DICOM_AE_TITLE",
        AE_TITLE,
        "DICOMRCV",
        "Our AE title: callers must call it, and destinations hear it.",
        _RECEIVER,
        aliases=("DICOM_RECEIVER_AE_TITLE",),
    ),
    Setting(
        "DICOM_PORT",
        PORT_OR_OFF,
        11112,
        "Port of the receiver; 0 leaves only the TLS port.",
        _RECEIVER,
        aliases=("DICOM_RECEIVER_PORT",),
    ),
    Setting(
        "DICOM_BIND_ADDRESS",
        BIND_ADDRESS,
        "127.0.0.1",
        "Address that the DICOM ports listen on; 0.0.0.0 (or ::) lets other machines in.",
        _RECEIVER,
    ),
    Setting("DICOM_PUBLIC", BOOLEAN, False, "yes: whoever reaches the port may store, known or not.", _RECEIVER),
    Setting(
        "DICOM_ALLOWED_NETWORKS",
        NETWORKS,
        [],
        "Only callers from these networks may connect at all; empty: from any.",
        _RECEIVER,
    ),
    Setting("DICOM_TLS_PORT", PORT_OR_OFF, 0, "Port for DICOM over TLS; 0: none.", _RECEIVER),
    Setting("DICOM_TLS_CERTIFICATE", PATH, None, "Our certificate (PEM, with its chain).", _RECEIVER),
    Setting("DICOM_TLS_KEY", PATH, None, "The certificate's private key (PEM).", _RECEIVER),
    Setting(
        "DICOM_TLS_CA",
        PATH,
        None,
        "Authorities (PEM) that callers' certificates must come from; empty: none is asked for.",
        _RECEIVER,
    ),
    Setting(
        "DICOM_SOP_CLASSES", SOP_CLASSES, [], "The only SOP classes that are taken; empty: all of storage.", _RECEIVER
    ),
    Setting("DICOM_MODALITIES", MODALITIES, [], "The only modalities that are taken; empty: all.", _RECEIVER),
    Setting(
        "DICOM_FOLDER",
        PATH,
        None,
        "Where received images appear; a watched folder, they soon go on from it. On a local disk, best that of the data "
        "folder. Default: received in the data folder.",
        _RECEIVER,
        aliases=("DICOM_RECEIVER_STORAGE_DIR", "DICOM_STORAGE_DIR"),
    ),
    Setting(
        "DICOM_STUDY_TIMEOUT",
        SECONDS,
        60.0,
        "A study is complete when nothing came for so long.",
        _RECEIVER,
        aliases=("DICOM_RECEIVER_TIMEOUT",),
    ),
    Setting("DICOM_PROCESSES", COUNT, 2, "Processes of the receiver, all on one port.", _RECEIVER),
    Setting("DICOM_MAX_ASSOCIATIONS", COUNT, 50, "Associations at once, over all processes.", _RECEIVER),
    Setting("DICOM_MAX_PDU_SIZE", PDU_SIZE, 131_072, "Largest PDU that callers may send.", _RECEIVER),
    Setting("DICOM_ACSE_TIMEOUT", SECONDS, 30.0, "From the connection to the complete association request.", _RECEIVER),
    Setting("DICOM_DIMSE_TIMEOUT", SECONDS, 60.0, "Longest silence in the middle of a message.", _RECEIVER),
    Setting("DICOM_NETWORK_TIMEOUT", SECONDS, 60.0, "Longest silence between two messages.", _RECEIVER),
    Setting("DICOM_LOW_BYTES", SIZE, 1_000_000_000, "Below this free space images are refused with 0xA700.", _RECEIVER),
    Setting("DICOM_HIGH_BYTES", SIZE, 1_500_000_000, "From this free space on they are taken again.", _RECEIVER),
    Setting(
        "DICOM_COMMITMENT",
        choice("received", "proven"),
        "proven",
        "Storage commitment is given once images are proven at every destination, or already once they are received.",
        _RECEIVER,
    ),
    Setting("DICOM_COMMITMENT_WAIT", SECONDS, 60.0, "How long a commitment waits for images to arrive.", _RECEIVER),
    Setting(
        "DICOM_COMMITMENT_HOURS",
        HOURS,
        24.0,
        "How long a commitment waits for proof, and then for a node that is away to take the answer.",
        _RECEIVER,
    ),
    Setting(
        "DICOM_LOG_LEVEL",
        choice("debug", "info", "warning", "error", "critical"),
        "info",
        "How much the receiver logs.",
        _RECEIVER,
        aliases=("DICOM_RECEIVER_LOG_LEVEL",),
    ),
    Setting(
        "DEIDENTIFY_RESTFUL",
        BOOLEAN,
        False,
        "yes: identifiers come from the DASHER service; no: keyed pseudonyms, nothing to ask.",
        _IDENTIFIERS,
        aliases=("ANONYMIZE_RESTFUL",),
    ),
    Setting(
        "SENDIT_IDENTIFIERS",
        choice("auto", *PROVIDERS),
        "auto",
        "Who gives identifiers; auto: dasher if DEIDENTIFY_RESTFUL, else keyed.",
        _IDENTIFIERS,
    ),
    Setting(
        "SENDIT_ISSUER",
        TEXT,
        "",
        "IssuerOfPatientID of ids that come without one; choose it before the first real image.",
        _IDENTIFIERS,
    ),
    Setting(
        "SENDIT_UID_ROOT",
        UID_ROOT,
        "2.25",
        "What new UIDs start with, unless the recipe names a root; choose it before the first real image.",
        _IDENTIFIERS,
    ),
    Setting(
        "SENDIT_PROJECT",
        TEXT,
        "default",
        "The project of what belongs to no other; another name gives unlinked pseudonyms.",
        _IDENTIFIERS,
    ),
    Setting(
        "SENDIT_PROJECTS",
        PATH,
        None,
        "TOML file with more projects, each with sources, recipe, provider, key and destinations of its own.",
        _IDENTIFIERS,
    ),
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
    Setting("SENDIT_SEQUENCE", TEXT, "sub-{number:03d}", "Form of sequential pseudonyms.", _IDENTIFIERS),
    Setting("SENDIT_IDENTIFIERS_FILE", PATH, None, "Table of the provider csv.", _IDENTIFIERS),
    Setting("GPAS_URL", URL, None, "Base address of gPAS, e.g. https://host/ttp-fhir/fhir/gpas.", _IDENTIFIERS),
    Setting("GPAS_API", choice(*GPAS_APIS), "gpas", "Which published interface it speaks.", _IDENTIFIERS),
    Setting("GPAS_FORMAT", choice("json", "xml"), "json", "Format of questions and answers.", _IDENTIFIERS),
    Setting("GPAS_DOMAIN", TEXT, "", "Domain of the pseudonyms of PatientID.", _IDENTIFIERS),
    Setting(
        "GPAS_ACCESSION_DOMAIN",
        TEXT,
        "",
        "Domain of the pseudonyms of AccessionNumber; without one they are keyed.",
        _IDENTIFIERS,
    ),
    Setting("GPAS_CREATE", BOOLEAN, True, "no: only pseudonyms that exist are used.", _IDENTIFIERS),
    Setting("GPAS_USER", TEXT, "", "User name at gPAS.", _IDENTIFIERS),
    Setting("GPAS_PASSWORD", TEXT, "", "Password at gPAS.", _IDENTIFIERS, secret=True),
    Setting("GPAS_TOKEN", TEXT, "", "Bearer token for gPAS, in place of user and password.", _IDENTIFIERS, secret=True),
    Setting("GPAS_VALUES_PER_CALL", COUNT, 100, "How many values are asked about in one call.", _IDENTIFIERS),
    Setting("GPAS_TIMEOUT", SECONDS, 20.0, "Seconds to wait for gPAS's answer.", _IDENTIFIERS),
    Setting(
        "SENDIT_RECIPE", TEXT, "basic", "Recipe of destinations that name none: a shipped name or a file.", _RECIPE
    ),
    Setting(
        "SENDIT_VALIDITY",
        BOOLEAN,
        False,
        "yes: certificates say which errors dciodvfy (package dicom3tools) finds in releases and not in originals.",
        _RECIPE,
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
    Setting("DICOM_COMMITMENT_PORT", PORT, None, "Port for storage commitment answers; empty: not asked for.", _OUTPUT),
    Setting("DICOM_PEER_TIMEOUT", SECONDS, 10.0, "A destination that is silent for so long is cut off.", _OUTPUT),
    Setting(
        "SENDIT_CLEANUP",
        BOOLEAN,
        False,
        "yes: remove originals, releases and rows once delivery is proven and the retention time is over.",
        _CLEANUP,
        aliases=("CLEANUP_AFTER_UPLOAD", "DICOM_RECEIVER_CLEANUP_AFTER_UPLOAD"),
    ),
    Setting("SENDIT_RETENTION_HOURS", HOURS, 24.0, "How long a proven series is kept before cleanup.", _CLEANUP),
    Setting(
        "SENDIT_VAULT",
        BOOLEAN,
        True,
        "Keep, sealed in the database, what leads from released images back to their originals.",
        _KEYS,
    ),
    Setting(
        "SENDIT_VAULT_DAYS",
        COUNT,
        None,
        "After so many days what leads back is destroyed, and who a pseudonym belongs to; default: never.",
        _KEYS,
    ),
    Setting(
        "SENDIT_RESTORE",
        BOOLEAN,
        False,
        "yes: originals may be made again, and those with the right may learn who is behind a pseudonym.",
        _KEYS,
    ),
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
        "Addresses of reverse proxies whose X-Forwarded-For is believed.",
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

_UPLOAD = "where images go is said by destinations (docs/destinations.md)."
_RETRY = (
    "every destination is tried again for as long as it takes, see SENDIT_RETRY_SECONDS and SENDIT_RETRY_MAX_SECONDS."
)
_REMOVED = "what is removed or replaced is said by the recipe, SENDIT_RECIPE (docs/deidentification.md)."

# Names that other receivers have for what is done in another way here.
RETIRED: dict[str, str] = {
    "DICOM_RECEIVER_API_URL": _UPLOAD,
    "DICOM_RECEIVER_API_USERNAME": _UPLOAD,
    "DICOM_RECEIVER_API_PASSWORD": _UPLOAD,
    "DICOM_RECEIVER_API_TOKEN": _UPLOAD,
    "DICOM_RECEIVER_AUTO_UPLOAD": "every image goes on by itself; " + _UPLOAD,
    "DICOM_RECEIVER_ZIP_DIR": "images are not zipped; " + _UPLOAD,
    "DICOM_RECEIVER_MAX_RETRIES": _RETRY,
    "DICOM_RECEIVER_RETRY_DELAY": _RETRY,
    "DICOM_RECEIVER_PII_TAGS": _REMOVED,
    "DICOM_RECEIVER_MAP_FILENAME": "who is who is kept encrypted in the database; "
    "dicom-restore --map-file reads an older map (docs/restore.md).",
    "DICOM_RECEIVER_LOG_FILE": "the receiver logs to logs/receiver.log in the data folder, or to the console.",
    "DICOM_LOG_DIR": "logs are in logs/ in the data folder, SENDIT_DATA_DIR.",
    "DICOM_ANONYMIZE_PATIENTS": _REMOVED,
}
