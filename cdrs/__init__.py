"""The CDRs module (mod_cdrs)."""
