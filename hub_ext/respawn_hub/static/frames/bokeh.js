"use strict";
// After the library and before Bokeh's own script, which draws into the element that the notebook displays.
window.Bokeh?.set_log_level("error");
