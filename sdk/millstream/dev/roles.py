"""`python -m millstream.dev.roles`: writes the services' cluster roles, as their manifests say, into deploy/.

The laptop's node reads the manifests themselves, so its overlay does not include this component.
"""

from __future__ import annotations

import yaml

from libs.service.roles import role_objects
from millstream.home import SYSTEM_NAMESPACE
from millstream.laptop import ROOT, manifests

TARGET = ROOT / "deploy" / "components" / "roles" / "roles.yaml"


def main() -> None:
    documents = [obj for each in manifests() for obj in role_objects(each, SYSTEM_NAMESPACE)]
    TARGET.write_text(yaml.safe_dump_all(documents, sort_keys=False))


if __name__ == "__main__":
    main()
