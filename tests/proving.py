"""What a proof must do about a seeded fault: one body for rule sets without a kernel and for real packets."""

from __future__ import annotations

from collections.abc import Callable

from dockgate.verify import Proof
from dockgate.verify.report import wrong, wrong_lines

Prove = Callable[[], Proof]


def finds_nothing(prove: Prove) -> Proof:
    """The world is as the policy says."""
    proof = prove()
    told = "\n".join([*wrong_lines(proof, 10), *proof.missing])
    assert proof.ok, told
    assert len(proof.results) > 50, "the control failed: next to nothing was asked"
    return proof


def finds_the_fault(prove: Prove, fault: str) -> Proof:
    """Something is wrong, every wrong cell says why, and the rest is still asked."""
    proof = prove()
    found = wrong(proof)
    assert not proof.ok, f"not found: {fault}"
    assert found or proof.missing
    assert all(result.why for result in found)
    assert len(found) < len(proof.results), f"{fault}: everything was found wrong, so nothing was told apart"
    return proof
