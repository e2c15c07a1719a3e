from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [
        ("ocpi_sessions", "0011_live_at_location"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="session",
            index=models.Index(Upper("token_uid"), "id", name="session_of_token"),
        ),
    ]
