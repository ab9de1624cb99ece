"""How requests are taken and answered, whoever asks: limits, security headers, refusals, streams, uploads.

Every request is answered, whatever goes wrong inside. It knows no user, no ledger and no page.
"""
