"""The crosswalk, with the pseudonyms that were given before there was one."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import Count, F, Min


def enter_pseudonyms(apps, schema_editor):
    """Enter who has which pseudonym now; one that two patients have, or a patient with two, is left to be found out."""
    alias = schema_editor.connection.alias
    pseudonym = apps.get_model("main", "Pseudonym")
    subjects = dict(apps.get_model("main", "Subject").objects.using(alias).values_list("key_index", "sealed"))
    for model, subject, name in (
        ("SeriesIdentifiers", "series__study__subject__key_index", "patient_id"),
        ("VaultEntry", "subject_index", "patient_id"),
    ):
        found = apps.get_model("main", model).objects.using(alias).exclude(**{name: ""}).order_by()
        rows = (
            found.values(pseudonym=F(name))
            .annotate(subject=Min(subject), patients=Count(subject, distinct=True), since=Min("at"))
            .filter(patients=1)
        )
        new = [
            pseudonym(
                project=settings.SENDIT_PROJECT,
                kind="patient",
                subject_index=row["subject"],
                pseudonym=row["pseudonym"],
                sealed=subjects.get(row["subject"], "") if settings.SENDIT_VAULT else "",
                at=row["since"],
            )
            for row in rows
        ]
        pseudonym.objects.using(alias).bulk_create(new, batch_size=1000, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("main", "0011_vault"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pseudonym",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("project", models.CharField(max_length=64)),
                ("kind", models.CharField(max_length=16)),
                ("subject_index", models.CharField(max_length=64)),
                ("pseudonym", models.CharField(max_length=64)),
                ("is_current", models.BooleanField(default=True)),
                ("sealed", models.TextField(blank=True, default="")),
                ("at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["project", "kind", "subject_index"], name="crosswalk_subject")],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "kind", "pseudonym"), name="one_patient_a_pseudonym"),
                    models.UniqueConstraint(
                        condition=models.Q(("is_current", True)),
                        fields=("project", "kind", "subject_index"),
                        name="one_current_pseudonym",
                    ),
                ],
            },
        ),
        migrations.RunPython(enter_pseudonyms, migrations.RunPython.noop),
    ]
