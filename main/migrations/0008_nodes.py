"""Nodes, refused callers, the receiver's processes, and events of nodes."""

import django.core.validators
from django.db import migrations, models

import main.models.nodes


class Migration(migrations.Migration):
    dependencies = [
        ("main", "0007_what_was_done"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReceiverProcess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, unique=True)),
                ("at", models.DateTimeField()),
                ("listening", models.JSONField(default=list)),
                ("associations", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(max_length=64, unique=True, validators=[main.models.nodes.check_name]),
                ),
                (
                    "calling_ae_titles",
                    models.JSONField(blank=True, default=list, validators=[main.models.nodes.check_ae_titles]),
                ),
                (
                    "addresses",
                    models.JSONField(blank=True, default=list, validators=[main.models.nodes.check_addresses]),
                ),
                ("tls_subject", models.CharField(blank=True, default="", max_length=500)),
                ("may_store", models.BooleanField(default=True)),
                (
                    "host",
                    models.CharField(blank=True, default="", max_length=253, validators=[main.models.nodes.check_host]),
                ),
                (
                    "port",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                    ),
                ),
                (
                    "ae_title",
                    models.CharField(
                        blank=True, default="", max_length=16, validators=[main.models.nodes.check_ae_title]
                    ),
                ),
                ("tls", models.BooleanField(default=False)),
                ("ask_count", models.BooleanField(default=False)),
                (
                    "quiet",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                    ),
                ),
                ("last_test", models.JSONField(blank=True, default=list)),
                ("tested_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="node_named")
                ],
            },
        ),
        migrations.CreateModel(
            name="Refusal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("address", models.CharField(blank=True, default="", max_length=64)),
                ("calling_ae_title", models.CharField(blank=True, default="", max_length=16)),
                ("called_ae_title", models.CharField(blank=True, default="", max_length=16)),
                ("reason", models.CharField(max_length=24)),
                ("count", models.PositiveIntegerField(default=0)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "address", "calling_ae_title", "called_ae_title", "reason"),
                        name="refusal_once_a_day",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="event",
            name="node_id",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("node_id__isnull", False)), fields=["node_id", "id"], name="event_node"
            ),
        ),
    ]
