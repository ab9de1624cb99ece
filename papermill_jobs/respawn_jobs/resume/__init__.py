"""What a resume would do with each cell, and what needs a person's consent.

It is pure but for the look at files that its caller passes in, and starts nothing.
"""
