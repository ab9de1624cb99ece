"""Backups of a whole store, database and blobs, as of one moment; and the way back.

    <target>/blobs/ab/<digest>     the blobs of all backups in this target, each once; the database too
    <target>/backups/<id>.json     one document for each backup, written last: without it there is no backup
    <target>/backups/<id>.keys     the service's own keys, where they were asked for

What a backup holds is what one transaction saw, and the blobs that are named in it. The service may go on.
"""

from respawn_jobs.backup.creation import CreatedBackup as CreatedBackup
from respawn_jobs.backup.creation import back_up as back_up
from respawn_jobs.backup.pruning import Pruned as Pruned
from respawn_jobs.backup.pruning import prune as prune
from respawn_jobs.backup.restoration import Restored as Restored
from respawn_jobs.backup.restoration import Store as Store
from respawn_jobs.backup.restoration import restore as restore
from respawn_jobs.backup.target import BackupTarget as BackupTarget
