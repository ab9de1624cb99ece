"""A hub for one person on one machine: what `make up` starts. Everything is told by `respawn_hub.embedded`.

It listens on the loopback only, keeps all its files in one directory, and runs servers and jobs as the
person who started it.
"""

import os

import respawn_hub

c = get_config()

directory = os.environ["RESPAWN_EMBEDDED_DATA"]
port = int(os.environ["RESPAWN_EMBEDDED_PORT"])
user = os.environ["RESPAWN_EMBEDDED_USER"]

c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.public_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['RESPAWN_EMBEDDED_HUB_PORT']}"
c.JupyterHub.db_url = f"sqlite:///{directory}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{directory}/hub-cookie-secret"
c.JupyterHub.log_level = "WARN"

c.ConfigurableHTTPProxy.command = [os.environ["RESPAWN_EMBEDDED_PROXY"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['RESPAWN_EMBEDDED_PROXY_PORT']}"
c.ConfigurableHTTPProxy.pid_file = f"{directory}/proxy.pid"

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["RESPAWN_EMBEDDED_PASSWORD"]
c.Authenticator.allowed_users = {user}

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{directory}/home/{{username}}"
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []

respawn_hub.configure(c, data=f"{directory}/respawn")
