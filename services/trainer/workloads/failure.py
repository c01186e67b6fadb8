"""Why a download cannot go on, in words for the user: what was asked for, what was wrong, what helps."""


class Failure(Exception):
    """Nothing that waiting would mend. `remedy` is a sentence about what to do."""

    def __init__(self, uri: str, wrong: str, remedy: str) -> None:
        super().__init__(f"{uri}: {wrong}; {remedy}")


class Transient(Exception):
    """The far side did not answer as it should have, this time."""


def no_such(uri: str, what: str) -> Failure:
    return Failure(uri, f"there is nothing here: {what}", "check the name, the path and their spelling")


def no_permission(uri: str, what: str, credentials: str) -> Failure:
    return Failure(uri, f"permission denied: {what}", f"give {credentials} in the initializer's secretRef or env")


def no_network(uri: str, what: str) -> Failure:
    remedy = "check the address and that pods may reach it (DNS, proxy, network policy)"
    return Failure(uri, f"cannot be reached: {what}", remedy)


def damaged(uri: str, what: str) -> Failure:
    return Failure(
        uri, f"the data is not what it should be: {what}", "check the source, and its checksum if you gave one"
    )
