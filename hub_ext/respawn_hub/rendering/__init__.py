"""Outputs of notebooks as something that a page may show.

Text is escaped and shown in the page, pictures are addresses of this service, and whatever can carry markup
or scripts is shown only in a sandboxed frame without the hub's origin. Nothing here is ever executed or
trusted; nothing is fetched from elsewhere.
"""

from respawn_hub.rendering.frames import Frame as Frame
from respawn_hub.rendering.frames import frame_of as frame_of
from respawn_hub.rendering.frames import policy as policy
from respawn_hub.rendering.frames import prose_frame as prose_frame
from respawn_hub.rendering.markdown import Prose as Prose
from respawn_hub.rendering.markdown import prose as prose
from respawn_hub.rendering.media import WIDGET_STATE as WIDGET_STATE
from respawn_hub.rendering.media import shows_widget as shows_widget
from respawn_hub.rendering.outputs_list import ShownOutput as ShownOutput
from respawn_hub.rendering.outputs_list import shown as shown
from respawn_hub.rendering.pictures import picture_of as picture_of
from respawn_hub.rendering.terminal import terminal_html as terminal_html
