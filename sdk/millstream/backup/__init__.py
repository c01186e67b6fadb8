"""`millstream backup` and `millstream restore`: everything that a platform keeps, in one archive, taken while it runs.

Why a backup of a running platform loses nothing and makes nothing happen twice:

1. *Streams first.* Each stream is snapshotted by the broker, with its sequences, its consumers and what those settled.
2. *Then all stores, at one moment.* Every writer of a store needs its write lock; the backup takes the locks of all
   stores for the milliseconds in which it begins a snapshot of each. So no store shows an effect whose cause another
   one lacks, and whatever a stream of step 1 holds had been committed, outbox row and all, before any of the snapshots.
3. *Then the bucket and the claims.* What the stores point to was written before they pointed to it.

So the restored stores are at least as new as the restored streams. What was said in between is in no stream, but in the
outbox rows: the restore marks as unsaid what the restored stream does not hold (and nothing else: a restored stream
knows no message ids, and would take a second copy). Hearers drop by their inbox what they had handled, since a letter
keeps its id. Acknowledgements are older than the stores, never newer, so no message counts as settled that a restored
store does not know. The other order would lose the messages acknowledged in between, and would keep letters from a
future that no store remembers.

What it cannot know: a command that another system published after the broker's snapshot began, and that no service had
taken before step 2, is after the backup. Dead letters that were buried during the seconds of a backup can be buried
again. Objects of the bucket that were overwritten after step 2 come back in their newer form.

Versions of objects (`metadata.resourceVersion`, `uid`) are those of the backup. New versions begin far beyond, and a
watch from any version of before is answered 410, so that a client which saw what the backup did not lists again.

Part of a home are its passwords, signing keys, certificates and the owner's token: the tokens and URLs that clients
hold go on working. Left out is what belonged to a machine: pods that had not finished, the Node, cluster addresses,
leases. Their owners (Jobs, Deployments) make new pods. Logs and the environments of images are left out too.
"""
