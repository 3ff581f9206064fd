"""What all pages share: one look, in light, in dark and in print; other people's text made harmless; figures with words."""
