"""Fills the node's database with as many images as a year leaves behind: a statement a table, on both databases.

Five series a study, a drop for each study, two studies a patient, ten events a series, and as many series again in the
ledger. 97 % of the series are delivered and wait for cleanup; 1 % are quarantined; each half per cent of the others is
new, in processing, waiting for the destination, or refused by it. Every other drop has a held file that is no image.
With a backlog the destination was away: what would be delivered waits for it.
"""

from __future__ import annotations

from django.db import connection, transaction

from main import identity
from main.models import Destination

# Ids of the added rows start here: what went through the node before keeps its own.
BASE = 1_000_000

SERIES_A_STUDY, STUDIES_A_PATIENT, EVENTS_A_SERIES = 5, 2, 10

_STATUS = """CASE s %% 200 WHEN 7 THEN 'NEW' WHEN 57 THEN 'PROCESSING' WHEN 107 THEN 'DONEPROCESSING'
    WHEN 157 THEN 'DONEPROCESSING' WHEN 3 THEN 'QUARANTINED' WHEN 103 THEN 'QUARANTINED' ELSE '{rest}' END"""
_STAGE = """CASE s %% 200 WHEN 7 THEN 'identify' WHEN 57 THEN 'deidentify' WHEN 107 THEN 'deliver'
    WHEN 157 THEN 'deliver' WHEN 3 THEN '' WHEN 103 THEN '' ELSE '{rest_stage}' END"""
_CODE = """CASE s %% 400 WHEN 3 THEN 'leak' WHEN 103 THEN 'killed-worker' WHEN 203 THEN 'bad-identifier'
    WHEN 303 THEN 'no-progress' ELSE '' END"""
_WORK = "stage, due_at, token, attempts, in_hand, deaths_in_hand, error_code, error"
_UID = "'2.25.329800735698586629295641978511506172'"

# In each statement s is the number of a series, from 1; in the last ones i is that of an image, or of an event.
_OF_SERIES = [
    """INSERT INTO main_subject (id, key_index, sealed, added_at)
    SELECT {base} + s, {hash}, {token}, {ago} FROM n WHERE (s - 1) %% {per_patient} = 0""",
    """INSERT INTO main_study (id, subject_id, project, uid_index, sealed_uid, added_at, quiet, asks, note)
    SELECT {base} + s, {base} + s - (s - 1) %% {per_patient}, 'default', {hash}, {token}, {ago}, 0, 0, '' FROM n
    WHERE (s - 1) %% {per_study} = 0""",
    f"""INSERT INTO main_batch ({_WORK}, id, key, sealed_name, source, received_at, registered_at, files, bytes,
    cleaned, sender, calling_ae_title, called_ae_title, watched, project, address, association)
    SELECT '', NULL, NULL, 0, '', 0, '', '', {{base}} + s, {{uuid}}, {{token}}, 'inbox', {{ago}}, {{ago}},
    {{images}} * {{per_study}} + 1, 530000 * {{images}} * {{per_study}}, 0, '', '', '', '', '', '', ''
    FROM n WHERE (s - 1) %% {{per_study}} = 0""",
    """INSERT INTO main_fileoutcome (batch_id, outcome, held, code, sentence, detail, sealed_path, uid_index, size, at)
    SELECT {base} + s, CASE s %% 2 WHEN 0 THEN 'not-dicom' ELSE 'duplicate' END, s %% 2 = 0,
    CASE s %% 2 WHEN 0 THEN 'not-dicom' ELSE 'duplicate' END, 'A sentence.', {no_detail}, {token}, '', 1000, {ago}
    FROM n WHERE (s - 1) %% {per_study} = 0""",
    f"""INSERT INTO main_series ({_WORK}, id, study_id, project, uid_index, sealed_uid, accession_index, modality,
    status, images, bytes, n_new,
    n_processing, n_doneprocessing, n_sent, n_done, n_quarantined, n_excluded, added_at, changed_at, proven_at)
    SELECT stage, CASE stage WHEN 'cleanup' THEN {{tomorrow}} WHEN 'identify' THEN {{ago}} WHEN 'deidentify' THEN {{ago}}
    ELSE NULL END, NULL, 0, '', 0, '', '', {{base}} + s, {{base}} + s - (s - 1) %% {{per_study}}, 'default', {{hash}},
    {{token}}, {{hash}}, CASE s %% 3 WHEN 0 THEN 'MR' ELSE 'CT' END, status, {{images}}, 530000 * {{images}},
    CASE status WHEN 'NEW' THEN {{images}} ELSE 0 END, CASE status WHEN 'PROCESSING' THEN {{images}} ELSE 0 END,
    CASE status WHEN 'DONEPROCESSING' THEN {{images}} ELSE 0 END, CASE status WHEN 'SENT' THEN {{images}} ELSE 0 END, 0,
    CASE status WHEN 'QUARANTINED' THEN {{images}} ELSE 0 END, 0, {{ago}}, {{ago}},
    CASE status WHEN 'SENT' THEN {{ago}} ELSE NULL END
    FROM (SELECT s, {_STATUS} AS status, {_STAGE} AS stage FROM n) AS series""",
    """INSERT INTO main_seriesidentifiers (series_id, provider, "values", patient_id, date_shift_days, sealed_response,
    sealed_known, at) SELECT {base} + s, 'keyed', {identifiers}, 'SD' || s, -100, '', {token}, {ago} FROM n""",
    f"""INSERT INTO main_ledgerentry (series_id, project, study_instance_uid, series_instance_uid, patient_id, modality, images,
    excluded, bytes, recipes, destinations, received_at, proven_at, cleaned_at)
    SELECT s, 'default', {_UID} || s, {_UID} || s, 'SD' || s, 'CT', {{images}}, 0, 530000 * {{images}}, {{recipes}},
    {{no_detail}}, {{ago}}, {{ago}}, {{ago}} FROM n""",
]
_OF_IMAGES = [
    f"""INSERT INTO main_image (id, series_id, batch_id, uid_index, sealed, sop_class_uid, size, status, code, sentence)
    SELECT {{base}} + i, {{base}} + s, {{base}} + s - (s - 1) %% {{per_study}}, {{hash}}, {{token}},
    '1.2.840.10008.5.1.4.1.1.2', 530000, {_STATUS}, {_CODE}, CASE {_CODE} WHEN '' THEN '' ELSE 'A sentence.' END
    FROM (SELECT i, (i - 1) / {{images}} + 1 AS s FROM n) AS images""",
    f"""INSERT INTO main_release (id, image_id, recipe, recipe_hash, key_id, study_instance_uid, series_instance_uid,
    sop_instance_uid, sop_class_uid, transfer_syntax_uid, dataset_offset, size, sha256, file_name, report, at)
    SELECT id, id, 'basic', {{hash}}, '0123456789abcdef', {_UID} || (series_id - (series_id - 1) %% {{per_study}}),
    {_UID} || series_id, {{uid}}, sop_class_uid, '1.2.840.10008.1.2.1', 400, 530000, {{hash}},
    series_id || '/' || id || '-0123abcd.dcm', {{no_detail}}, {{now}}
    FROM main_image WHERE id > {{base}} AND status IN ('SENT', 'DONEPROCESSING')""",
    """INSERT INTO main_delivery (release_id, series_id, destination_id, state, proof, due_at, token, attempts, proven_at,
    error_code, error) SELECT id, series_id, {destination}, state, CASE state WHEN 'PROVEN' THEN 'content' ELSE '' END,
    CASE state WHEN 'PENDING' THEN {now} ELSE NULL END, NULL, 1, CASE state WHEN 'PROVEN' THEN {now} ELSE NULL END,
    CASE state WHEN 'BLOCKED' THEN '0xA900' ELSE '' END, CASE state WHEN 'BLOCKED' THEN 'A sentence.' ELSE '' END
    FROM (SELECT id, series_id, CASE WHEN status = 'SENT' THEN 'PROVEN'
    WHEN (series_id - {base}) %% 200 = 157 THEN 'BLOCKED' ELSE 'PENDING' END AS state
    FROM main_image WHERE id > {base} AND status IN ('SENT', 'DONEPROCESSING')) AS images""",
]
_OF_EVENTS = """INSERT INTO main_event (at, kind, actor, batch_id, series_id, destination, from_status, to_status, count, code,
    sentence) SELECT {ago}, 'status', 'sendit', NULL, {base} + s, '', '', 'SENT', 100, '', ''
    FROM (SELECT i, (i - 1) / {events} + 1 AS s FROM n) AS events"""


def fill(images: int, a_series: int, *, backlog: bool = False) -> None:
    """Add `images` images, `a_series` in each series, and everything that belongs to them."""
    words = _words(a_series) | {"rest": "DONEPROCESSING" if backlog else "SENT"}
    words["rest_stage"] = "deliver" if backlog else "cleanup"
    series = images // a_series
    statements = [(one, "s", series) for one in _OF_SERIES] + [(_OF_IMAGES[0], "i", images)]
    statements += [(one, "i", 1) for one in _OF_IMAGES[1:]] + [(_OF_EVENTS, "i", series * EVENTS_A_SERIES)]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":  # this connection only, while it fills
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-1000000")
        with transaction.atomic():
            for statement, name, last in statements:
                insert, _, columns = statement.format(**words).partition("SELECT")
                numbers = f"WITH RECURSIVE n({name}) AS (SELECT 1 UNION ALL SELECT {name} + 1 FROM n WHERE {name} < %s)"
                cursor.execute(f"{insert} {numbers} SELECT {columns}", [last])
        if connection.vendor == "postgresql":
            _move_sequences()
            cursor.execute("VACUUM ANALYZE")
    connection.close()


def _words(a_series: int) -> dict[str, object]:
    """What the statements are filled with: sizes, and what the two databases say differently."""
    lite = connection.vendor == "sqlite"
    stamp = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{} seconds')"
    identifiers = """'{"PatientID": "SD' || s || '", "PatientName": "SD' || s || '"}'"""
    return {
        "base": BASE,
        "images": a_series,
        "per_study": SERIES_A_STUDY,
        "per_patient": SERIES_A_STUDY * STUDIES_A_PATIENT,
        "events": EVENTS_A_SERIES,
        "destination": Destination.objects.get(enabled=True).pk,
        "token": f"'{identity.seal({'path': 'ST-000001/00000001.dcm', 'uid': '1.2.3'})}'",
        "hash": "lower(hex(randomblob(32)))" if lite else "md5(random()::text) || md5(random()::text)",
        "uid": f"{_UID} || abs(random())" if lite else f"{_UID} || (random() * 1e15)::bigint",
        "uuid": "lower(hex(randomblob(16)))" if lite else "gen_random_uuid()",
        "now": stamp.format("-60") if lite else "now() - interval '1 minute'",
        "ago": stamp.format("-' || s || '") if lite else "now() - s * interval '1 second'",
        "tomorrow": stamp.format("+86400") if lite else "now() + interval '1 day'",
        "no_detail": "'{}'" if lite else "'{}'::jsonb",
        "recipes": """'["basic"]'""" if lite else """'["basic"]'::jsonb""",
        "identifiers": identifiers if lite else f"({identifiers})::jsonb",
    }


def _move_sequences() -> None:
    from django.apps import apps
    from django.core.management.color import no_style

    models = list(apps.get_app_config("main").get_models())
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
