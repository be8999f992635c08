"""A peer to compare with: a node of centrifuge (Go), the engine of Centrifugo, made of main.go by `build`."""

import subprocess
from pathlib import Path
from typing import Final

NODE: Final = Path(__file__).resolve().parents[3] / ".backing" / "centrifuge-node"


def build() -> None:
    """Make the node, by the versions that go.sum names. The first time it loads them."""
    subprocess.run(["go", "build", "-o", NODE, "."], cwd=Path(__file__).parent, check=True)
