"""Where the checkout is: services are run from there, and what `make setup` has brought lies in it."""

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
