"""What attackers try, on real services."""
