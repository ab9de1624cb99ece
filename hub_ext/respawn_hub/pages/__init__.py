"""The HTML pages for people: routes, forms, templates and error pages.

Work without scripts; show nothing that `Visitor` may not see; hold no rule about runs.
"""
