from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_sessions", "0010_task_name"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                Upper("location_id"),
                condition=~models.Q(status__in=["COMPLETED", "INVALID"]),
                name="session_live_at",
            ),
        ),
    ]
