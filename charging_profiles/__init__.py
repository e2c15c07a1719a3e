"""OCPI ChargingProfiles module (mod_charging_profiles)."""
