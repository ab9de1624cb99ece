"""Which files functions and methods of libraries read and write."""

from __future__ import annotations

import re

from respawn_jobs.model.hidden_state import FILES, NETWORK, file_state

READ, WRITE, BOTH = "r", "w", "rw"

CALLS: dict[str, tuple[tuple[int, str, str], ...]] = {
    "os.listdir": ((0, "path", READ),),
    "os.scandir": ((0, "path", READ),),
    "os.walk": ((0, "top", READ),),
    "os.stat": ((0, "path", READ),),
    "os.path.exists": ((0, "path", READ),),
    "os.path.isfile": ((0, "path", READ),),
    "os.path.isdir": ((0, "s", READ),),
    "os.path.getsize": ((0, "filename", READ),),
    "os.path.getmtime": ((0, "filename", READ),),
    "os.makedirs": ((0, "name", BOTH),),
    "os.mkdir": ((0, "path", BOTH),),
    "os.remove": ((0, "path", BOTH),),
    "os.unlink": ((0, "path", BOTH),),
    "os.rmdir": ((0, "path", BOTH),),
    "os.removedirs": ((0, "name", BOTH),),
    "os.rename": ((0, "src", BOTH), (1, "dst", BOTH)),
    "os.replace": ((0, "src", BOTH), (1, "dst", BOTH)),
    "os.symlink": ((0, "src", READ), (1, "dst", BOTH)),
    "os.link": ((0, "src", READ), (1, "dst", BOTH)),
    "os.truncate": ((0, "path", BOTH),),
    "os.open": ((0, "path", BOTH),),
    "os.chmod": ((0, "path", BOTH),),
    "os.chown": ((0, "path", BOTH),),
    "os.utime": ((0, "path", BOTH),),
    "os.setxattr": ((0, "path", BOTH),),
    "os.removexattr": ((0, "path", BOTH),),
    "os.renames": ((0, "old", BOTH), (1, "new", BOTH)),
    "os.mkfifo": ((0, "path", BOTH),),
    "os.fwalk": ((0, "top", READ),),
    "os.lstat": ((0, "path", READ),),
    "os.access": ((0, "path", READ),),
    "os.readlink": ((0, "path", READ),),
    "os.getxattr": ((0, "path", READ),),
    "os.listxattr": ((0, "path", READ),),
    "os.path.lexists": ((0, "path", READ),),
    "os.path.islink": ((0, "path", READ),),
    "os.path.getatime": ((0, "filename", READ),),
    "os.path.getctime": ((0, "filename", READ),),
    "os.path.realpath": ((0, "filename", READ),),
    "os.path.samefile": ((0, "f1", READ), (1, "f2", READ)),
    "filecmp.cmp": ((0, "f1", READ), (1, "f2", READ)),
    "linecache.getline": ((0, "filename", READ),),
    "linecache.getlines": ((0, "filename", READ),),
    "fileinput.input": ((0, "files", BOTH),),
    "glob.glob": ((0, "pathname", READ),),
    "glob.iglob": ((0, "pathname", READ),),
    "shutil.copy": ((0, "src", READ), (1, "dst", BOTH)),
    "shutil.copy2": ((0, "src", READ), (1, "dst", BOTH)),
    "shutil.copyfile": ((0, "src", READ), (1, "dst", BOTH)),
    "shutil.copytree": ((0, "src", READ), (1, "dst", BOTH)),
    "shutil.copymode": ((0, "src", READ), (1, "dst", BOTH)),
    "shutil.copystat": ((0, "src", READ), (1, "dst", BOTH)),
    "shutil.chown": ((0, "path", BOTH),),
    "shutil.unpack_archive": ((0, "filename", READ), (1, "extract_dir", BOTH)),
    "shutil.move": ((0, "src", BOTH), (1, "dst", BOTH)),
    "shutil.rmtree": ((0, "path", BOTH),),
    "numpy.load": ((0, "file", READ),),
    "numpy.loadtxt": ((0, "fname", READ),),
    "numpy.genfromtxt": ((0, "fname", READ),),
    "numpy.fromfile": ((0, "file", READ),),
    "numpy.memmap": ((0, "filename", BOTH),),
    "numpy.save": ((0, "file", WRITE),),
    "numpy.savez": ((0, "file", WRITE),),
    "numpy.savez_compressed": ((0, "file", WRITE),),
    "numpy.savetxt": ((0, "fname", WRITE),),
    "pandas.to_pickle": ((1, "filepath_or_buffer", WRITE),),
    "matplotlib.pyplot.savefig": ((0, "fname", WRITE),),
    "matplotlib.pyplot.imsave": ((0, "fname", WRITE),),
    "matplotlib.pyplot.imread": ((0, "fname", READ),),
    "sqlite3.connect": ((0, "database", BOTH),),
    "joblib.dump": ((1, "filename", WRITE),),
    "joblib.load": ((0, "filename", READ),),
    "gzip.open": ((0, "filename", BOTH),),
    "bz2.open": ((0, "filename", BOTH),),
    "lzma.open": ((0, "filename", BOTH),),
    "zipfile.ZipFile": ((0, "file", BOTH),),
    "tarfile.open": ((0, "name", BOTH),),
    "io.open": ((0, "file", BOTH),),
}
"""By path: for each argument that names a file its place, its name, and what is done with the file."""

_WORDS = """
exists is_file is_dir read_text read_bytes iterdir glob rglob stat samefile resolve is_symlink walk lstat
|
write_text write_bytes mkdir rmdir unlink touch rename symlink_to hardlink_to chmod copy move copy_into
move_into
"""
READING_METHODS, WRITING_METHODS = (frozenset(words.split()) for words in _WORDS.split("|"))
"""Methods of `pathlib.Path` that look at files, and that change them."""

PATH_METHODS = (READING_METHODS | WRITING_METHODS | {"open"}) - {"copy", "move", "walk", "stat", "resolve"}
"""Those of them that hardly anything else has."""

_SUGGESTS = re.compile(
    r"(^|_)(read|load|open|scan|imread|fetch|write|save|dump|export|sink|savefig|imsave|store|upload|download)"
    r"|file|path|^to_(csv|parquet|json|excel|pickle|feather|html|hdf|sql|stata|orc|xml|netcdf|zarr|avro|ipc)"
)


def suggests_files(name: str) -> bool:
    """Return whether a function's name says that it may read or write files."""
    return _SUGGESTS.search(name) is not None


def state_of(path: str | None) -> str:
    """Return the name of the file at a path; of all files for a path that is not known."""
    if path is None or path.startswith("~"):
        return FILES
    if re.match(r"[a-z][a-z0-9+]+://", path):
        return NETWORK
    fixed = re.split(r"[*?\[]", path, maxsplit=1)
    return file_state(path if len(fixed) == 1 else fixed[0].rpartition("/")[0] or ".")
