"""Where tools run: never in the kernel."""
