"""Outputs of cells as a kernel sends them."""

from __future__ import annotations


def display(**data: object) -> dict:
    return {"output_type": "display_data", "data": {k.replace("__", "/"): v for k, v in data.items()}}


def stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}
