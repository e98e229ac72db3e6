"""The store in which ranks find each other, without what an earlier try left in it.

torchrun's agents keep one store for all restarts of a run, and nothing that the workers of all nodes are told differs
from one to the next. A rank that finds the address of a process that died in the last one waits for ever. So rank 0
names the new try, and each rank asks for the name under a word of its own, which nobody can have answered before.
"""

from __future__ import annotations

from time import monotonic, sleep
from uuid import uuid4

from torch.distributed.distributed_c10d import PrefixStore, Store

WAIT_SECONDS = 600.0  # torchrun starts workers together; what takes long comes behind this
POLL_SECONDS = 0.02


def fresh_store(store: Store, rank: int, num_ranks: int) -> Store:
    """A part of the store that is empty, and the same for all ranks of this try.

    Raises TimeoutError on rank 0 where a rank does not come; the others give up when the store does.
    """
    own = uuid4().hex
    if rank > 0:
        store.set(f"rank {rank} asks", own)
        name = store.get(f"answer to {own}").decode()
        store.set(f"{name}: rank {rank} is here", "")
    else:
        name = own
        answer(store, name, num_ranks)
    return PrefixStore(name, store)


def answer(store: Store, name: str, num_ranks: int) -> None:
    """Tell every rank the name, and those of an earlier try, who are not there to hear it, until all have heard it."""
    deadline = monotonic() + WAIT_SECONDS
    missing = set(range(1, num_ranks))
    while missing:
        for rank in sorted(missing):
            if store.check([f"{name}: rank {rank} is here"]):
                missing.remove(rank)
            elif store.check([f"rank {rank} asks"]):
                store.set(f"answer to {store.get(f'rank {rank} asks').decode()}", name)
        if monotonic() > deadline:
            raise TimeoutError(f"ranks {sorted(missing)} did not come within {WAIT_SECONDS:.0f} s")
        sleep(POLL_SECONDS)
