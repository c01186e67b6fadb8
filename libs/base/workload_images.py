"""Which images the platform's workloads run, from two settings; it must not assume a registry, or that there is one."""

from libs.base.settings import Settings


class WorkloadSettings(Settings):
    """Settings of a service that makes pods. A cluster's nodes pull images from wherever these two say."""

    workload_image_prefix: str = "millstream/"
    """What stands before the name of an image: a registry and folder with a slash at the end."""
    workload_image_tag: str = ""
    """What stands after it, the same for all; none means the registry's `latest`, and on a laptop's node nothing."""

    def workload_image(self, name: str) -> str:
        """The image `name` (model-server, initializer, torch, python) as a pod names it."""
        tag = f":{self.workload_image_tag}" if self.workload_image_tag else ""
        return f"{self.workload_image_prefix}{name}{tag}"

    @property
    def has_own_images(self) -> bool:
        """Whether somebody said where images come from; else users' code runs in the images that the world knows."""
        return bool(self.workload_image_tag) or self.workload_image_prefix != "millstream/"
