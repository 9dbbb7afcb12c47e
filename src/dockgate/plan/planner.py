"""The planner: puts the parts together in the order in which they stand on each other."""

from __future__ import annotations

from dockgate.haproxy.tree import Config
from dockgate.model.actions import DisconnectNetwork, RemoveContainer
from dockgate.model.desired import Desired
from dockgate.model.objects import LABEL_KIND, LABEL_PROJECT
from dockgate.model.observed import Observed
from dockgate.model.plan import Plan, Step
from dockgate.plan.balancers import plan_balancers, prove_step
from dockgate.plan.firewall import plan_firewall, with_new_balancers
from dockgate.plan.labelled import refusals
from dockgate.plan.leftovers import plan_leftovers
from dockgate.plan.networks import NetworkPart, plan_network_removals, plan_networks
from dockgate.plan.seats import seat_all
from dockgate.plan.support import plan_images, plan_nodes

_KINDS = {"lb", "node", "waf", "network", "address", "config", "helper", "controller"}


def plan(desired: Desired, observed: Observed, *, confirm_s: int = 0) -> Plan:
    """What must be done so that ``observed`` becomes as ``desired``; empty when it is.

    ``confirm_s``: for how long new firewall rules wait for the operator; 0: what proves itself is kept."""
    images = plan_images(desired, observed)
    nodes = plan_nodes(desired, observed)
    networks = plan_networks(desired, observed)
    seating = seat_all(desired, observed, networks.usable)
    balancers = plan_balancers(desired, observed, seating)
    serving = with_new_balancers(desired, observed, balancers.steps)
    building = (*images.steps, *nodes.steps, *networks.steps, *serving)
    leftovers = plan_leftovers(desired, observed, building)
    removals = _network_removals(desired, observed, (*building, *leftovers))
    before = (*building, *leftovers, *removals.steps)
    firewall = plan_firewall(desired, observed, seating, before, confirm_s=confirm_s)
    unknown = tuple(f"{name} could not be read: {state.reason}" for name, state in observed.unknown())
    return Plan(
        steps=(*before, *firewall.steps),
        blocked=(*images.blocked, *nodes.blocked, *networks.blocked, *seating.blocked, *firewall.blocked),
        notes=(
            *unknown,
            *seating.notes,
            *balancers.notes,
            *firewall.notes,
            *removals.notes,
            *refusals(desired, observed),
            *_strangers(desired.project, observed),
        ),
    )


def proofs(desired: Desired, observed: Observed) -> tuple[Step, ...]:
    """The questions with which an ``up`` ends: every VIP on every readable host, as it should be in ``observed``."""
    seating = seat_all(desired, observed, plan_networks(desired, observed).usable)
    return tuple(prove_step(desired, observed, seat) for seat in seating.seats)


def desired_config(desired: Desired, observed: Observed, vip: str, host: str) -> str:
    """The text of the haproxy.cfg that the file asks for; "" while the seat is blocked."""
    seating = seat_all(desired, observed, plan_networks(desired, observed).usable)
    found = (seat for seat in seating.seats if seat.target.vip.name == vip and seat.host.name == host)
    return next((seat.target.config.text for seat in found), "")


def trees_of(desired: Desired, observed: Observed) -> dict[str, Config]:
    """The configuration trees that a plan for this file and world may load, by their text: for ``simulate``."""
    seating = seat_all(desired, observed, plan_networks(desired, observed).usable)
    return {seat.target.config.text: seat.target.tree for seat in seating.seats}


def _network_removals(desired: Desired, observed: Observed, steps: tuple[Step, ...]) -> NetworkPart:
    removed = {(step.action.container, "*") for step in steps if isinstance(step.action, RemoveContainer)}
    leaving = {
        (step.action.container, step.action.network) for step in steps if isinstance(step.action, DisconnectNetwork)
    }
    return plan_network_removals(desired, observed, frozenset(removed | leaving))


def _strangers(project: str, observed: Observed) -> tuple[str, ...]:
    """Objects that carry our project's name but are of no kind this version knows: reported, never guessed."""
    return tuple(
        f"container {container.name} on {host.name} carries the label of this project, but no known kind: left alone"
        for host in observed.known()
        for container in host.containers
        if container.labels.get(LABEL_PROJECT) == project and container.labels.get(LABEL_KIND) not in _KINDS
    )
