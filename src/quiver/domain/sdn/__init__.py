"""The controller's rules: what it knows, which paths it wants, and in which order it writes them. No transport of its own."""
