"""What is known of the EV, the site and the effect of profiles (SCALE D2.3, 8.4.1 and 11.1)."""
