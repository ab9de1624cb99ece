"""The `hub` executor: runners in servers that the hub starts for the account of each job, by its profile.

It promises that an attempt is executed by a server of its job's account, in whatever the hub's Spawner makes
of one, and that such a server outlives this process. One of several replicas does all of it. It starts no
process itself and knows no runs.
"""
