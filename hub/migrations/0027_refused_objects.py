"""An index of what receivers have not taken: the console lists it by receiver and module."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0026_marks"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="stalecopy",
            index=models.Index(
                condition=models.Q(("state", "REFUSED")),
                fields=["receiver", "module", "first_at"],
                name="stale_copy_refused",
            ),
        ),
    ]
