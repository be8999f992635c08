"""How the system is started: locally by the runner, elsewhere by compose files and images.

Nothing in here is imported by a service.
"""
