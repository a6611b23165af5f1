# Snakemake reads config.yaml itself, and reports what it cannot read with a traceback; this says it in one line.

import sys
from pathlib import Path

from twinbench.config.checks import check_file
from twinbench.config.reading import ConfigError

try:
    check_file(Path("config/config.yaml"))
except ConfigError as error:
    sys.exit(str(error))
