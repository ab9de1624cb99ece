"""The global random generators of Python, NumPy and PyTorch, so that drawing continues where it stopped."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Hashable
from typing import Any


class PythonRandom:
    """The generator behind the functions of `random`, which seeds it anew in forked children (random.py)."""

    name = "#random"

    def fingerprint(self) -> Hashable:
        """Return a hash of its state."""
        return hash(random.getstate())

    def capture(self) -> Any:
        """Return its state."""
        return random.getstate()

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set its state; older checkpoints have those of NumPy and PyTorch beside it."""
        if isinstance(value, dict):
            if "numpy" in value:
                importlib.import_module("numpy.random").set_state(value["numpy"])
            if "torch" in value:
                TorchRandom().restore({"cpu": value["torch"], "cuda": value.get("cuda", [])}, shell)
            value = value["python"]
        random.setstate(value)


class NumpyRandom:
    """The generator behind the functions of `numpy.random`, with its bit generator if that was replaced."""

    name = "#numpy.random"

    def fingerprint(self) -> Hashable:
        """Return a hash of its state."""
        module = _numpy_random()
        if module is None:
            return None
        state = module.get_state(legacy=False)
        return state["bit_generator"], hash(repr(_plain(state)))

    def capture(self) -> Any | None:
        """Return the bit generator, when it is another one than NumPy's own, and the state."""
        module = _numpy_random()
        if module is None:
            return None
        own = module.mtrand._rand._bit_generator
        replaced = own if type(own).__name__ != "MT19937" else None
        return {"generator": replaced, "state": module.get_state(legacy=False)}

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set them."""
        module: Any = importlib.import_module("numpy.random")
        if value["generator"] is not None:
            module.set_bit_generator(value["generator"])
        module.set_state(value["state"])


class TorchRandom:
    """PyTorch's generators, of the processor and of GPUs that are in use."""

    name = "#torch.random"

    def fingerprint(self) -> Hashable:
        """Return a hash of the states."""
        states = self.capture()
        return states and hash((states["cpu"], *states["cuda"]))

    def capture(self) -> Any | None:
        """Return the states as bytes."""
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "get_rng_state"):
            return None
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return {
            "cpu": torch.get_rng_state().numpy().tobytes(),
            "cuda": [state.cpu().numpy().tobytes() for state in cuda],
        }

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set those for which there is a device."""
        torch = importlib.import_module("torch")
        tensors = [torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in value["cuda"]]
        torch.set_rng_state(torch.frombuffer(bytearray(value["cpu"]), dtype=torch.uint8))
        if tensors and torch.cuda.is_available() and torch.cuda.device_count() >= len(tensors):
            torch.cuda.set_rng_state_all(tensors)


def _numpy_random() -> Any | None:
    module = sys.modules.get("numpy.random")
    return module if module is not None and hasattr(module, "get_state") else None


def _plain(value: Any) -> Any:
    """Return a state with its arrays as bytes: their `repr` leaves most of them out."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value.tobytes() if hasattr(value, "tobytes") else value
