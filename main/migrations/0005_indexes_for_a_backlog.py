"""Indexes for what pages ask while very much waits: the oldest delivery to a destination, and what a drop still has to do."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("main", "0004_deliveries_by_series"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="image",
            index=models.Index(fields=["batch", "status"], name="image_batch"),
        ),
        migrations.AlterField(
            model_name="image",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="image_set",
                to="main.batch",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["destination", "id"], name="delivery_waiting"
            ),
        ),
    ]
