"""The rows that the benchmarks fill databases with fit the tables as they are."""

from __future__ import annotations

import pytest

from main.models import Destination, Image
from tests.benchmarks import many_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.everydatabase]


@pytest.mark.parametrize("backlog", [False, True])
def test_a_database_is_filled_for_the_benchmarks(backlog: bool) -> None:
    Destination.objects.create(name="there", kind="folder", recipe="basic")

    many_rows.fill(1_000, 2, backlog=backlog)

    assert Image.objects.count() == 1_000
