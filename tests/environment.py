"""Loaded before Django: tests get a data folder of their own and none of the caller's settings."""

import os
import tempfile
from pathlib import Path

KEEP = {"SENDIT_TEST_FENCE_OFF"}
PREFIXES = ("SENDIT_", "DICOM_", "ORTHANC_", "LOCKDOWN_", "DASHER_", "WATCH_", "CELERY_", "SEND_TO_", "DEIDENTIFY_")

for _name in [name for name in os.environ if name.startswith(PREFIXES) and name not in KEEP]:
    del os.environ[_name]

DATA = Path(tempfile.mkdtemp(prefix="sendit-tests-"))
os.environ["SENDIT_DATA_DIR"] = str(DATA)
os.environ["SENDIT_ENV_FILE"] = str(DATA / "no.env")
os.environ["SENDIT_MIN_FREE_BYTES"] = "1000000"
os.environ["SENDIT_RETRY_SECONDS"] = "0.05"
os.environ["DICOM_AUTO_START"] = "no"  # its port is one for the whole machine
