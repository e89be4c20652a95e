"""YAML for people: texts of several lines as blocks. Knows nothing of what is written."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as blocks, and what occurs twice twice, so that the result can be read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the signature is PyYAML's
        """Say that nothing is written as a reference to an earlier place."""
        return True


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" not in text:
        return yaml.SafeDumper.represent_str(dumper, text)
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|")


_Dumper.add_representer(str, _represent_str)


def yaml_text(content: Any) -> str:
    """Return content as YAML, keys in the order they have."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
