"""The packages of the project, and which may import which."""

SERVICES = ("dispatcher", "edge_server", "persister", "api_gateway")
MAY_IMPORT: dict[str, set[str]] = {
    "schemas": {"schemas"},
    "runtime": {"schemas", "runtime"},
    **{service: {"schemas", "runtime", service} for service in SERVICES},
    "loadtest": {"schemas", "loadtest"},
    "deploy": {"schemas", "runtime", "deploy", "loadtest"},
}
