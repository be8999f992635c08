"""Load tests against the real system: small, and judged by what arrived, never by how fast."""
