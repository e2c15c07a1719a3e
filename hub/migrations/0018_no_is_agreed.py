"""Whether the operator agrees to a party is what its admission says."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("hub", "0017_parties_as_they_came")]
    operations = [migrations.RemoveField(model_name="party", name="is_agreed")]
