# Snakemake would report a config.yaml that it cannot read by a traceback; this check reports it in one line.

import sys
from pathlib import Path

from twinbench.config.reading import read_yaml
from twinbench.files import ConfigError

try:
    read_yaml(Path("config/config.yaml"))
except ConfigError as error:
    sys.exit(str(error))
