"""What a runner asks of a kernel between the cells, in silent requests.

None of its state lies in the user's namespace. It decides nothing about policy: when to hold and when to
store is the runner's.
"""

from respawn_kernels.agent.removal import forget as forget
from respawn_kernels.agent.removal import settle as settle
from respawn_kernels.agent.requests import checkpoint as checkpoint
from respawn_kernels.agent.requests import hold as hold
from respawn_kernels.agent.requests import leave_session as leave_session
from respawn_kernels.agent.requests import prepare as prepare
from respawn_kernels.agent.requests import restore as restore
from respawn_kernels.agent.requests import restore_again as restore_again
from respawn_kernels.agent.requests import start as start
