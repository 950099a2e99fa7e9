"""Reads a compose file as the Compose Specification has it, and prints it as JSON; fails on what is not in there."""

import sys

from compose_spec import PyCompose

with open(sys.argv[1], encoding="utf-8") as file:
    compose = PyCompose.from_yaml(file.read())
compose.validate()
print(compose.to_json())
