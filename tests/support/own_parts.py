"""Cells whose variables hold parts of the session, or that change what Python keeps in C; see `SNIPPETS`."""

from __future__ import annotations

OWN_PARTS = {
    "logger that no name leads to": (
        "import logging; apart = logging.Logger('apart', logging.WARNING); own_seen = []\n"
        "class OwnKeeps(logging.Handler):\n    def emit(self, record): own_seen.append(record.getMessage())\n"
        "apart.addHandler(OwnKeeps())",
        "(apart.level, apart.info('no'), apart.error('yes'), own_seen, "
        "'apart' in logging.root.manager.loggerDict)",
    ),
    "completer": (
        "def own_ends(self, text): return [text + '!']\nget_ipython().set_custom_completer(own_ends, 0)",
        "[one('x') for one in get_ipython().Completer.custom_matchers]",
    ),
    "methods of lists that a library keeps": (
        "import unittest; own_cleaned = []; unittest.addModuleCleanup(own_cleaned.append, 'first')",
        "(unittest.doModuleCleanups(), own_cleaned)",
    ),
    "place of a package": (
        "import os, pathlib\nfor d, n in (('pk_one', '__init__'), ('pk_two', 'inner')):\n"
        "    os.makedirs(d, exist_ok=True); _ = pathlib.Path(d, n + '.py').write_text('SEEN = 5')\n"
        "import importlib; importlib.invalidate_caches(); import pk_one\n"
        "pk_one.__path__.append(os.path.abspath('pk_two')); import pk_one.inner",
        "(pk_one.inner.SEEN, len(pk_one.__path__))",
    ),
    "text that an object of a library was told by a method": (
        "import numpy as np; np.ma.masked_print_option.set_display('n/a')",
        "str(np.ma.array([1, 2], mask=[0, 1]))",
    ),
    "options that a notebook registers with pandas": (
        "import pandas as pd; own_told = []\ndef own_tell(key): own_told.append(key)\n"
        "own_option = pd._config.config.register_option\nown_option('own.digits', 2, cb=own_tell); "
        "own_option('own.deep.mode', 'plain')\npd.set_option('own.digits', 4)",
        "(pd.get_option('own.digits'), pd.get_option('own.deep.mode'), own_told, "
        "pd.set_option('own.digits', 5), own_told)",
    ),
    "hooks of the shell": (
        "own_pages = []\ndef own_pager(shell, data, start=0, screen_lines=0): own_pages.append(data)\n"
        "get_ipython().set_hook('show_in_pager', own_pager, 3)",
        "(get_ipython().hooks.show_in_pager('a page'), own_pages, "
        "[at for at, one in get_ipython().hooks.show_in_pager.chain "
        "if getattr(one, '__func__', one) is own_pager])",
    ),
    "hooks of outputs": (
        "own_sent = []\ndef own_look(message): own_sent.append(message['msg_type']); return message\n"
        "get_ipython().display_pub.register_hook(own_look)\nget_ipython().displayhook.register_hook(own_look)",
        "(own_look in get_ipython().display_pub._hooks, own_look in get_ipython().displayhook._hooks)",
    ),
    "attributes of the shell": (
        "get_ipython().notes = ['start']; own_notes = get_ipython().notes\n"
        "class OwnTracker: count = 3\nget_ipython()._tracker = OwnTracker()",
        "(get_ipython().notes, get_ipython().notes is own_notes, get_ipython()._tracker.count)",
    ),
    "parts of the session that variables hold": (
        "import asyncio, sys, threading, warnings\n"
        "own_loop = asyncio.get_running_loop(); own_lists = [sys.path, warnings.filters]\n"
        "own_path = sys.path\n"
        "own_thread = threading.main_thread(); own_modules = sys.modules; own_argv = sys.argv\n"
        "own_shell = get_ipython(); own_events = own_shell.events; own_html = "
        "own_shell.display_formatter.formatters['text/html']; own_kernel = own_shell.kernel\n"
        "own_path.append('/own/entry')",
        "(own_loop is asyncio.get_running_loop(), own_path is sys.path, own_lists[0] is sys.path, "
        "own_lists[1] is warnings.filters, '/own/entry' in sys.path, own_thread is threading.main_thread(), "
        "own_modules is sys.modules, own_argv is sys.argv, own_events is get_ipython().events, "
        "own_html is get_ipython().display_formatter.formatters['text/html'], "
        "own_kernel is get_ipython().kernel)",
    ),
    "lock that two tasks wanted": (
        "import asyncio\nown_lock, own_order = asyncio.Lock(), []\n"
        "async def own_turn(n):\n    async with own_lock:\n        await asyncio.sleep(0)\n"
        "        own_order.append(n)\n"
        "await asyncio.gather(own_turn(1), own_turn(2))",
        "(own_lock._loop is asyncio.get_running_loop(), own_lock.locked(), own_order)",
    ),
    "answers of abstract classes": (
        "import abc, collections.abc\nown_most = 1\n"
        "class Short(abc.ABC):\n    @classmethod\n"
        "    def __subclasshook__(cls, other): return len(getattr(other, 'fields', 'abc')) <= own_most\n"
        "class OneField:\n    fields = 'a'\nclass Long:\n    pass\nclass Bag:\n    pass\n"
        "own_asked = [isinstance(one, Short) for one in (OneField(), Long())]\n"
        "own_asked.append(isinstance(Bag(), collections.abc.Sized))\n"
        "own_most = 0; Long.fields = ''; Bag.__len__ = lambda self: 0",
        "(own_asked, isinstance(OneField(), Short), isinstance(Long(), Short), "
        "isinstance(Bag(), collections.abc.Sized), issubclass(type('New', (), {'fields': ''}), Short))",
    ),
    "sentinel beside a second name of the main module": (
        "import multiprocessing\nOWN_NOTHING = object()\n"
        "def own_given(x=OWN_NOTHING): return x is not OWN_NOTHING",
        "('__mp_main__' in __import__('sys').modules, own_given(), own_given.__defaults__[0] is OWN_NOTHING)",
    ),
    "what was given to the loop": (
        "import asyncio\nown_passed, own_running = [], asyncio.get_running_loop()\n"
        "own_running.given = own_passed",
        "asyncio.get_running_loop().given is own_passed",
    ),
    "dictionaries of a function": (
        "def own_f(x, *, k=1): return k + x\nown_dict, own_kw = own_f.__dict__, own_f.__kwdefaults__\n"
        "own_dict['seen'] = []",
        "(own_f.__dict__ is own_dict, own_f.__kwdefaults__ is own_kw, own_f.seen)",
    ),
    "names like those of Python and IPython": (
        "__file__ = 'own.ipynb'; __doc__ = 'about'; _2020 = [7]; _i7000 = 'mine'\n"
        "get_ipython().push({'own_pushed': [3]}, interactive=False)",
        "(__file__, __doc__, own_pushed, _2020, _i7000)",
    ),
    "what a reload left of a module": (
        "import importlib, pathlib\nown_file = pathlib.Path('own_reloaded.py')\n"
        "own_file.write_text('OWN_GONE, OWN_RATE = [1], [2]'); importlib.invalidate_caches()\n"
        "import own_reloaded\nown_file.write_text('OWN_RATE = [30, 31, 32, 33]')\n"
        "importlib.reload(own_reloaded)",
        "(own_reloaded.OWN_GONE, own_reloaded.OWN_RATE)",
    ),
    "name of a builtin": ("copyright = 'mine'", "copyright"),
    "arguments and named results": (
        "import sys; sys.argv[1:] = ['--own', '4']; Out['own'] = [5]",
        "(sys.argv[1:], Out['own'])",
    ),
    "containers and options of libraries that variables hold": (
        "import dask, pandas as pd\nown_conf, own_options = dask.config.config, pd.options.display\n"
        "own_conf['own_x'] = 1",
        "(own_conf is dask.config.config, dask.config.get('own_x'), own_options.d is pd.options.display.d)",
    ),
    "what libraries call that make a part of the session": (
        "import asyncio, builtins, contextvars, copyreg, fractions, threading\n"
        "own_made, own_build, own_half = [], builtins.__build_class__, fractions.Fraction(1, 2)\n"
        "def own_watch(body, name, *bases, **more):\n"
        "    if name == 'OwnModel': own_made.append(name)\n"
        "    return own_build(body, name, *bases, **more)\n"
        "builtins.__build_class__ = own_watch\n"
        "def own_tasks(loop, coro, **more):\n"
        "    own_made.append('task') if 'own_work' in repr(coro) else None\n"
        "    return asyncio.Task(coro, loop=loop, **more)\n"
        "async def own_work(): pass\n"
        "asyncio.get_running_loop().set_task_factory(own_tasks)\n"
        "copyreg.add_extension('fractions', 'Fraction', 0x71)\n"
        "threading.main_thread().name, threading.main_thread().own_user = 'own', ['ada']",
        "(type('A', (), {}), exec('class OwnModel: pass'), "
        "asyncio.get_running_loop().create_task(own_work()), own_made, own_half, "
        "copyreg._extension_registry['fractions', 'Fraction'], "
        "threading.current_thread().name, threading.main_thread().own_user)[3:]",
    ),
    "inputs and results under other names": (
        "own_inputs, own_kept = In, {'out': Out}\n[9]",
        "(own_inputs is In, own_kept['out'] is Out, [9] in own_kept['out'].values())",
    ),
    "context variables of classes and defaults": (
        "import contextvars\n"
        "class OwnRequest: user = contextvars.ContextVar('own_user', default='nobody')\n"
        "def own_deep(var=contextvars.ContextVar('own_depth', default=0)):\n"
        "    var.set(var.get() + 1)\n    return var.get()\n"
        "own_reset = OwnRequest.user.set('ada'); own_reset = own_deep()",
        "(OwnRequest.user.get(), own_deep())",
    ),
    "level of a logger that did not notice": (
        "import logging\nown_log = logging.getLogger('own_cached'); own_log.setLevel('ERROR')\n"
        "own_asked = own_log.isEnabledFor(10); own_log.level = 10",
        "(own_log.isEnabledFor(10), own_log.isEnabledFor(20), own_log.level)",
    ),
    "blocked signals": (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])",
        "sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))",
    ),
}
