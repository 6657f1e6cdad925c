"""Looking a patient up in the vault, either way, with a million patients in it; and what an image costs to keep.

`.venv/bin/python -m tests.benchmarks.vault [--patients 1000000] [--rounds 200] [--postgresql]`

Each look-up finds the entries of one patient, study or series by the released name, or by the original one through its
blind index; `opened` also opens the entry and finds one image in it. The crosswalk's look-ups find the pseudonym of a
patient, or the patient of a pseudonym, and open who that is. Goal: each below 5 ms.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from tests.benchmarks.own_node import own_node
from tests.benchmarks.report import verdict

IMAGES, GOAL_MS = 100, 5.0

_FILL = """INSERT INTO main_vaultentry (series_id, project, recipe, recipe_hash, study_instance_uid,
    series_instance_uid, patient_id, subject_index, study_index, series_index, images, sealed, at)
    WITH RECURSIVE n(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM n WHERE s < %s)
    SELECT s, 'default', 'basic', {hash}, '2.25.1000' || s, '2.25.2000' || s, 'SD' || s, {hash}, {hash}, {hash},
    1, '', {now} FROM n"""

_FILL_CROSSWALK = """INSERT INTO main_pseudonym (project, kind, subject_index, pseudonym, is_current, sealed, at)
    WITH RECURSIVE n(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM n WHERE s < %s)
    SELECT 'default', 'patient', {hash}, 'SD' || s, {true}, %s, {now} FROM n"""


def main() -> None:
    """Fill, look up, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with own_node(postgresql=options.postgresql):
        fill(options.patients)
        _measure(options.rounds)


def fill(patients: int) -> None:
    """Add an entry and a pseudonym for each patient by SQL, and one of each that is whole."""
    from django.db import connection, transaction
    from django.utils import timezone

    from deidentify import WayBack, Ways
    from main import crosswalk, identity
    from main.models import Pseudonym, VaultEntry

    lite = connection.vendor == "sqlite"
    words = {
        "hash": "lower(hex(randomblob(32)))" if lite else "md5(random()::text) || md5(random()::text)",
        "true": "1" if lite else "true",
        "now": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')" if lite else "now()",
    }
    with connection.cursor() as cursor:
        if lite:
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-1000000")
        with transaction.atomic():
            cursor.execute(_FILL.format(**words), [patients])
            sealed = identity.seal({"issuer": "", "patient_id": "1", "name": "DOE^JANE"})
            cursor.execute(_FILL_CROSSWALK.format(**words), [patients, sealed])
        if not lite:
            cursor.execute("VACUUM ANALYZE main_vaultentry")
            cursor.execute("VACUUM ANALYZE main_pseudonym")
    ways = Ways()
    for number in range(IMAGES):
        ways.add(
            f"2.25.{number}",
            WayBack(bytes(400), "1.2.840.10008.1.2.1", bytes(1000), b"", (b"%100d" % number,) * 20, (), 0),
        )
    VaultEntry.objects.create(
        series_id=0,
        recipe="basic",
        recipe_hash="0" * 64,
        study_instance_uid="2.25.77",
        series_instance_uid="2.25.78",
        patient_id="WHOLE",
        subject_index=identity.blind_index("patient", identity.patient_key("", "1", "")),
        study_index=identity.blind_index("study", "1.2.77"),
        series_index=identity.blind_index("series", "1.2.78"),
        images=IMAGES,
        sealed=identity.seal_bytes(ways.packed()),
        at=timezone.now(),
    )
    Pseudonym.objects.create(
        project="default",
        kind=crosswalk.PATIENT,
        subject_index=identity.blind_index("patient", identity.patient_key("", "1", "")),
        pseudonym="WHOLE",
        sealed=sealed,
        at=timezone.now(),
    )
    connection.close()


def _measure(rounds: int) -> None:
    from main import crosswalk, vault

    def patient() -> object:
        row = crosswalk.of_pseudonym("default", "WHOLE")
        return row and crosswalk.patient_of(row)

    def opened() -> object:
        return vault.Opened().way_back(list(vault.of_series("2.25.78")), "2.25.50", "1.2.840.10008.1.2.1")

    ways: dict[str, Callable[[], object]] = {
        "by pseudonym": lambda: list(vault.of_patient("WHOLE")),
        "by released study": lambda: list(vault.of_study("2.25.77")),
        "by released series": lambda: list(vault.of_series("2.25.78")),
        "by original patient": lambda: list(vault.of_original_patient("", "1")),
        "by original study": lambda: list(vault.of_original_study("1.2.77")),
        "by original series": lambda: list(vault.of_original_series("1.2.78")),
        "crosswalk, pseudonym to patient": patient,
        "crosswalk, patient to pseudonym": lambda: crosswalk.of_patient("default", "", "1"),
        f"opened, one image of {IMAGES}": opened,
    }
    for name, way in ways.items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            found = way()
            times.append(1000 * (time.perf_counter() - began))
            if not found:
                raise SystemExit(f"{name}: nothing was found.")
        verdict(f"{name}, ms", [statistics.median(times)], GOAL_MS)


if __name__ == "__main__":
    main()
