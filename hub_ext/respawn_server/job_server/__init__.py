"""A job server: a Jupyter server that the hub started for an account's jobs, with runners beside it.

    python -m respawn_server.job_server
    python -m respawn_server.job_server --version

It is the command of the named servers that the service asks the hub for
(`respawn_hub.configure(c, executor="hub")`). It registers with its own hub token and a nonce, reports what
its runners do, and takes orders. The service may go away and come back meanwhile; runners know it by
themselves. Where the hub stops the server, its runners requeue what they execute, and it goes on elsewhere.
The kernels of runs that failed live on beside it for a time; its own JupyterLab opens them.
"""
