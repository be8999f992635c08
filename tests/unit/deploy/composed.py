"""The compose files."""

from typing import Any

import yaml

from deploy.repository import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DEV: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.dev.yaml").read_text())
