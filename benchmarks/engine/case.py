"""One network in one type with masks by one rule: what a result file is about."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import networks
from tflite_sparse.convert import apply_masks
from tflite_sparse.inputs import random_inputs
from tflite_sparse.measure.variants import Variant, load_variant, set_inputs
from tflite_sparse.runtime import Runtime

#: Networks that have shortcuts, so that the rule "all" says something else than "paper".
RESIDUAL = ("resnet18", "resnet50")

#: What runs against each other: the network without masks, and the masked one in each mode.
DENSE = "dense"
MASKED = ("off", "insert", "compact")


@dataclass(frozen=True)
class Case:
    """A network.

    Attributes:
        network: a name of `networks.NETWORKS`.
        dtype: "float32" or "int8".
        rule: of `networks.RULES`: which layers have masks.
    """

    network: str
    dtype: str
    rule: str

    @property
    def name(self) -> str:
        """For files and headings."""
        return "-".join([self.network, self.dtype] + (["all"] if self.rule == "all" else []))

    def dense(self) -> bytes:
        """The network without masks."""
        return networks.dense(self.network, self.dtype == "int8").read_bytes()

    def masked(self, sparsity: float) -> bytes:
        """The network with masks in the file; at sparsity 0 they are all ones."""
        masks = networks.masks(self.network, sparsity, self.dtype == "int8", self.rule)
        return apply_masks(self.dense(), masks)


def load(
    case: Case, name: str, content: bytes, runtime: Runtime, threads: int = 1, profile: bool = False
) -> Variant:
    """Load one variant, DENSE or of MASKED, with the case's input; run it once."""
    mode = "off" if name == DENSE else name
    variant = load_variant(
        runtime, mode, content, threads, label=case.name, name=name, profile=profile
    )
    set_inputs(variant, random_inputs(variant.interpreter.get_input_details()))
    variant.run_ms()
    # The arena has no size before the first inference.
    variant.report = variant.interpreter.sparsity_report()
    return variant
