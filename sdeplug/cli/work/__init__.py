"""What the commands do, and all that takes long to import: one file a command."""
