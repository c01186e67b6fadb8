"""What failing programs say, and what a person can do about it: one row a kind of failure, most telling first.

The patterns are those of Python, PyTorch (2.13: gloo, NCCL, torchrun), shells, pip and S3 clients; one line each.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """`reason` is one CamelCase word; `remedy` may use the pattern's named groups; an echo only tells that another
    process died first."""

    reason: str
    pattern: re.Pattern[str]
    remedy: str
    is_echo: bool = False


def _row(reason: str, pattern: str, remedy: str, *, is_echo: bool = False) -> Words:
    return Words(reason, re.compile(pattern), remedy, is_echo)


_ECHO = "that is only the echo of another process's end: look for the first that ended"
_MORE_MEMORY = "ask for more memory (resourcesPerNode) or use less: a smaller batch, fewer data loader workers"
_ADDRESS = "check the address, and that what should answer there runs and may be reached from the job's namespace"

WORDS = (
    # The ends of peers, seen from the survivors.
    _row("PeerLost", r"Connection closed by peer .*remote worker crashing", _ECHO, is_echo=True),
    _row("PeerLost", r"gloo/transport/tcp.*(Connection reset by peer|Broken pipe|Socket closed)", _ECHO, is_echo=True),
    _row("PeerLost", r"DistNetworkError: Failed to recv, got 0 bytes", _ECHO, is_echo=True),
    _row("PeerLost", r"Connection was likely closed\. Did the remote server shutdown", _ECHO, is_echo=True),
    _row("PeerLost", r"TCPStore.*(Broken pipe|Connection reset|(recvValue|sendBytes) failed)", _ECHO, is_echo=True),
    _row("PeerLost", r"ncclRemoteError|remote process exit(ed|ing)|NET/\w+ : .*closed by peer", _ECHO, is_echo=True),
    _row("PeerLost", r"NCCL communicator was aborted", _ECHO, is_echo=True),
    _row("PeerLost", r"RendezvousConnectionError|RendezvousClosedError", _ECHO, is_echo=True),
    # The time ran out in which ranks should have met; often an echo too, but it may be the only word there is.
    _row(
        "RankTimeout",
        r"gloo.*Timed out waiting \d+ms for (recv|send)|Watchdog caught collective operation timeout",
        "a rank waited in vain for another one: see whether one hangs or has left early, whether all ranks make the "
        "same collective calls, and raise the timeout of init_process_group if a step may take that long",
        is_echo=True,
    ),
    _row(
        "RendezvousTimeout",
        r"client socket has (timed out after|failed to connect).*|RendezvousTimeoutError",
        "the ranks did not find each other: see whether node-0 started and why it ended, and whether the nodes may "
        "reach each other (network policy, MASTER_ADDR)",
        is_echo=True,
    ),
    _row(
        "PortTaken",
        r"EADDRINUSE|[Aa]ddress already in use|Errno 98\b",
        "another program of this machine listens there: use another port, or 0 for any that is free",
    ),
    # Memory and space.
    _row(
        "GPUOutOfMemory",
        r"CUDA out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED|HIP out of memory",
        "the accelerator's memory is full: use a smaller batch, mixed precision, gradient checkpointing or FSDP, or a "
        "larger accelerator",
    ),
    _row(
        "OutOfMemory",
        r"DefaultCPUAllocator: can't allocate memory|\bMemoryError\b|Cannot allocate memory|std::bad_alloc",
        _MORE_MEMORY,
    ),
    _row(
        "SharedMemoryFull",
        r"Bus error|unable to (open|write to|mmap) .*shared memory|insufficient shared memory",
        "/dev/shm is too small for the data loader's workers: mount an emptyDir with medium Memory at /dev/shm, or set "
        "num_workers=0",
    ),
    _row(
        "DiskFull",
        r"No space left on device|Disk quota exceeded|Errno 28\b",
        "the disk is full: write less, or give the job a larger volume (ephemeral-storage, a claim) for what it writes",
    ),
    # Code that is not there or not right.
    _row(
        "ImportError",
        r"ModuleNotFoundError: No module named '(?P<name>[^']+)'",
        "name the package that brings {name} in packages_to_install, or use an image that has it",
    ),
    _row(
        "ImportError",
        r"ImportError: ",
        "the installed version differs from what the code expects: pin it in packages_to_install, or use another image",
    ),
    _row(
        "PackageNotFound",
        r"No matching distribution found for \S+|Could not find a version that satisfies the requirement",
        "pip found no such package: check its name and version in packages_to_install, and pip_index_urls",
    ),
    _row(
        "SyntaxError",
        r"(SyntaxError|IndentationError|TabError): ",
        "the code does not parse: correct the line named above it; $ and backquotes in a function's text are expanded "
        "by the shell that carries it",
    ),
    # Accelerators that are not there.
    _row(
        "NoGPU",
        r"Torch not compiled with CUDA enabled|Found no NVIDIA driver|No CUDA GPUs are available|"
        r"doesn't have NCCL built in|no GPUs found|no NVIDIA GPU",
        "the program wants a GPU and there is none: ask for one (resourcesPerNode nvidia.com/gpu) with an image built "
        "for it, or train on the CPU (backend gloo)",
    ),
    _row(
        "GPUError",
        r"CUDA error: |device-side assert|uncorrectable (ECC|NVLink)|\bXid ",
        "the accelerator reported an error: run again with CUDA_LAUNCH_BLOCKING=1 to see which call; if it stays with "
        "one node, tell who runs the cluster",
    ),
    _row(
        "NCCLError",
        r"ncclSystemError|ncclInternalError|ncclUnhandledCudaError|ncclInvalidUsage|NCCL error",
        "run again with NCCL_DEBUG=INFO to see which call and which interface; check NCCL_SOCKET_IFNAME",
    ),
    # Object stores.
    _row(
        "BucketNotFound",
        r"NoSuchBucket|NO_SUCH_BUCKET|bucket does not exist",
        "there is no such bucket at this endpoint: check the name, the region and the endpoint (AWS_ENDPOINT_URL)",
    ),
    _row(
        "ObjectNotFound",
        r"NoSuchKey|NO_SUCH_KEY|there is nothing at s3://",
        "there is no such object: check the URI; names are case-sensitive",
    ),
    _row(
        "AccessDenied",
        r"AccessDenied|ACCESS_DENIED|InvalidAccessKeyId|INVALID_ACCESS_KEY_ID|SignatureDoesNotMatch|ExpiredToken|"
        r"SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN|NoCredentialsError|Unable to locate credentials|40[13] Client Error|"
        r"GatedRepoError",
        "the store does not let this job in: check the keys that it gets (env, secretRef) and what they may do",
    ),
    # The network.
    _row(
        "NameNotResolved",
        r"Name or service not known|Temporary failure in name resolution|No address associated with hostname|"
        r"nodename nor servname|NameResolutionError|gaierror|Could not resolve host",
        "the name is not known to DNS: check its spelling and namespace (<service>.<namespace>.svc), and whether the "
        "job may reach the outside at all",
    ),
    _row(
        "ConnectionRefused",
        r"Connection refused|ConnectionRefusedError|Errno 111\b",
        f"nobody listens there: {_ADDRESS}",
    ),
    _row(
        "NetworkTimeout",
        r"(Connect|Read)Timeout|TimeoutError|timed out|Network is unreachable|No route to host|Errno 11[03]\b",
        f"no answer came in time: {_ADDRESS}",
    ),
    _row(
        "CertificateRefused",
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "the server's certificate is not trusted here: give the program the authority that signed it (SSL_CERT_FILE)",
    ),
    _row(
        "ConnectionLost",
        r"Connection reset by peer|ConnectionResetError|BrokenPipeError|Broken pipe|RemoteDisconnected",
        f"the other side ended the connection: see its own log; {_ADDRESS}",
    ),
    # Files.
    _row(
        "FileNotFound",
        r"FileNotFoundError|No such file or directory|can't open file",
        "the file is not in the pod: check the path, the volumes and the initializer (they download to "
        "/workspace/dataset and /workspace/model)",
    ),
    _row(
        "PermissionDenied",
        r"PermissionError|Permission denied|Read-only file system|Operation not permitted",
        "this user may not do that: write below /tmp or a volume of the job, and see securityContext (runAsUser, "
        "fsGroup)",
    ),
)


def words_of(line: str) -> Words | None:
    """The first row that knows the line."""
    return next((row for row in WORDS if row.pattern.search(line)), None)


def remedy_of(row: Words, line: str) -> str:
    """The row's advice about this very line."""
    found = row.pattern.search(line)
    named = {name: value or "" for name, value in (found.groupdict() if found else {}).items()}
    return row.remedy.format(**named) if named else row.remedy
