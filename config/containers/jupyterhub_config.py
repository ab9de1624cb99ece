"""A hub on a Docker host: servers and jobs in containers, each person's on a network of their own.

docs/how-to/run-in-containers.md says what belongs beside it. What differs between hubs comes from variables:
HUB_* are read here; RESPAWN_* (RESPAWN_DB_URL, RESPAWN_BLOBS_URL) and AWS_* reach the service.
"""

import os

import respawn_hub

c = get_config()

# An address of this machine that its containers reach and other machines do not, such as that of docker0.
address = os.environ.get("HUB_ADDRESS", "172.17.0.1")
directory = os.environ.get("HUB_DIRECTORY", "/srv/jupyterhub")
proxy = f"http://{address}:{os.environ.get('HUB_PROXY_PORT', '8000')}"

# People come through a proxy of yours, with TLS, to `proxy`; so do their containers, straight.
c.JupyterHub.bind_url = proxy
c.JupyterHub.public_url = os.environ.get("HUB_PUBLIC_URL", proxy)
c.JupyterHub.hub_bind_url = f"http://{address}:{os.environ.get('HUB_PORT', '8081')}"
c.JupyterHub.db_url = os.environ.get("HUB_DB_URL", f"sqlite:///{directory}/jupyterhub.sqlite")
c.JupyterHub.cookie_secret_file = f"{directory}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{directory}/proxy.pid"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ.get('HUB_PROXY_API_PORT', '8001')}"

# `environment`, `cmd` and hooks of servers are set on c.Spawner: set on c.ContainerSpawner, they would take
# the place of what `configure` adds.
c.JupyterHub.spawner_class = "respawn_hub.containers.spawner.ContainerSpawner"
c.ContainerSpawner.image = os.environ["HUB_SERVER_IMAGE"]  # made by `respawn kernels image`
c.ContainerSpawner.pull_policy = os.environ.get("HUB_PULL_POLICY", "ifnotpresent")
c.ContainerSpawner.use_internal_ip = True
c.ContainerSpawner.remove = True  # a container goes with its server; the home stays
# Names of containers, networks and homes begin with it: another hub on this machine takes another one.
c.ContainerSpawner.prefix = os.environ.get("HUB_PREFIX", "jupyter")
# All servers of a person, job servers too, have one home: jobs find the files beside their notebook there.
c.ContainerSpawner.volumes = {"{prefix}-home-{username}": "/home/jovyan"}
memory = os.environ.get("HUB_SERVER_MEMORY", "4G")
c.Spawner.mem_limit = memory
c.ContainerSpawner.extra_host_config = {
    "memswap_limit": memory,  # of memory and swap together; without it, swap doubles the limit
    "pids_limit": int(os.environ.get("HUB_SERVER_PROCESSES", "4096")),
    "init": True,  # a first process that collects ended children
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
c.Spawner.start_timeout = 600  # an image may have to be pulled
c.Spawner.http_timeout = 120

# Who may sign in, and what else is yours: a file that is read before Respawn adds to it.
if "HUB_OWN_CONFIG" in os.environ:
    load_subconfig(os.environ["HUB_OWN_CONFIG"])

respawn_hub.configure(
    c,
    data=f"{directory}/respawn",
    db_url=os.environ.get("RESPAWN_DB_URL"),
    blobs_url=os.environ.get("RESPAWN_BLOBS_URL"),
    executor="hub",
    job_server_command=["python3", "-m", "respawn_server.job_server"],
    url_for_servers=f"{proxy}/services/respawn",
    # Jobs may name the kernels that the service finds on this machine: those of the image, built here too.
    environment={"JUPYTER_PATH": os.environ["JUPYTER_PATH"]} if "JUPYTER_PATH" in os.environ else None,
)
