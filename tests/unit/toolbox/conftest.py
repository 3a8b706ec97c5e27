"""Put the toolbox program's package on the path, as its entry script does in the image."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "images/kolla-toolbox"))
