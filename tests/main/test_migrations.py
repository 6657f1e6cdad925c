"""What an older version wrote is as good as new after the migration."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from main import work
from main.models import SeriesIdentifiers
from tests.main.conftest import Node, copy_of


@pytest.mark.parametrize("known", [True, False], ids=["a pseudonym", "none"])
def test_pseudonyms_of_before_are_searched_for_like_new_ones(node: Node, known: bool) -> None:
    node.hand_over("d", copy_of("CT_small.dcm"))
    work.work_one("register")
    work.work_one("identify")
    written = SeriesIdentifiers.objects.get().patient_id
    assert written.startswith("ANON-")
    SeriesIdentifiers.objects.update(patient_id="")
    if not known:
        SeriesIdentifiers.objects.update(values={})
    migration = import_module("main.migrations.0006_search_and_changed_originals")
    migration.repeat_pseudonyms(apps, SimpleNamespace(connection=connection))
    assert SeriesIdentifiers.objects.get().patient_id == (written if known else "")
