"""Importing this leaves a trace: nothing may be imported that is not used."""

import os
from pathlib import Path

if "ACME_TRACE" in os.environ:
    Path(os.environ["ACME_TRACE"]).write_text("imported")
