"""JupyterHub as the service asks it: whose token is this, who exists, whose namespace is whose.

Never waits longer for a silent hub than it says; decides nothing about runs.
"""
