"""What is of OCPI 2.2.1 alone: the number of the version, and its modules with their URLs."""

from typing import Final

VERSION: Final = "2.2.1"
# Below it stand all URLs of the hub except the versions endpoint.
BASE_PATH: Final = f"/ocpi/{VERSION}"
