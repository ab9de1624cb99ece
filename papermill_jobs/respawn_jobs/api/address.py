"""Where the service answers people's programs: clients and routes agree on it here."""

API = "/api/v1"
"""Below the service's own address. What older clients could not read would come under another version."""
