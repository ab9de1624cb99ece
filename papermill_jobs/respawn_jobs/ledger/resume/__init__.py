"""How a run continues as a new run from another one's state: request, carry-over, plan, side effects.

Restart and a person's retry are here too. It opens no attempt.
"""
