"""Load balancers: from seats and leavers to steps.

Make before break, prove before keep: a new container is created, its configuration judged, before an old one stops;
an old one is removed only after the proof. Where both want the same port or address, the old one must stop first: then
the plan says that it cannot be seamless, and a failed proof starts the old one again. Whoever waits for a port or an
address is in one group with whoever holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dockgate.haproxy.render import alike
from dockgate.haproxy.runtime import changes, inverse
from dockgate.model.actions import (
    Action,
    ActivateConfig,
    Announce,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    Prove,
    ReloadConfig,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RestoreConfig,
    SetServers,
    StartContainer,
    StopContainer,
    ValidateConfig,
    WriteConfig,
)
from dockgate.model.desired import Desired
from dockgate.model.objects import LABEL_NAME, NetworkSpec, labels_for
from dockgate.model.observed import Observed, ObservedNetwork, RunningHaproxy, Unknown
from dockgate.model.plan import Step
from dockgate.plan import names
from dockgate.plan.parties import Party, in_the_way, is_up, parties_of, succeeds_somebody
from dockgate.plan.published import host_address
from dockgate.plan.seats import (
    Leaver,
    Seat,
    Seating,
    address_networks,
    holds_address,
    overlap,
)
from dockgate.plan.support import needs_image, side_by_side
from dockgate.plan.target import BRIDGE, attack_requests, node_spec, proof_requests
from dockgate.plan.tls import put_tls_files, remove_tls_files
from dockgate.plan.waf import prepare_waf, remove_sockets, remove_wafs, sockets_step

GIVE_WAY_S = 2
"""For requests under way when a port changes hands: nobody is answered meanwhile, so one long upload must not hold up
everybody (measured with the usual ten seconds: 11.4 s without answers)."""


@dataclass(frozen=True)
class BalancerPart:
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def plan_balancers(desired: Desired, observed: Observed, seating: Seating) -> BalancerPart:
    """Steps that put every seat as it must be and take every leaver away, in groups that stand or fall together."""
    parties = parties_of(seating)
    planner = _Planner(desired, observed)
    building = [step for party in parties for step in planner.party(party)]
    removing = [step for party in parties for step in planner.clean_up(party)]
    removing += planner.left_behind(parties)
    return BalancerPart(side_by_side((*building, *removing)), tuple(planner.notes))


def prove_step(desired: Desired, observed: Observed, seat: Seat) -> Step:
    """The question that ends every change of a seat, and every ``up``."""
    vantage, vip = _vantage(desired, observed, seat), seat.target.vip
    address = seat.target.vip.address or host_address(desired, seat.host) or desired.host(seat.host.name).address
    if address is None:
        vantage, address = seat.host.name, "127.0.0.1"
    action = Prove(
        host=seat.host.name,
        vip=seat.target.vip.name,
        container=seat.target.spec.name,
        structure=seat.target.config.structure,
        vantage=vantage,
        requests=(*proof_requests(desired, vip, address), *attack_requests(desired, vip, address)),
        must_serve=seat.served,
    )
    return Step(
        action, "what clients get is what counts", f"VIP {seat.target.label}", needs=(names.node_group(vantage),)
    )


def _vantage(desired: Desired, observed: Observed, seat: Seat) -> str:
    """Another host than the load balancer's own, rather one whose node container runs already."""
    node = node_spec(desired).name
    others = [host for host in observed.known() if host.name != seat.host.name]
    ready = (host for host in others if (it := host.container(node)) is not None and it.state == "running")
    return next(ready, others[0] if others else seat.host).name


def _is_unproved(seat: Seat) -> bool:
    return seat.balancer is not None and seat.balancer.unproved is not None


def _taken_back_if_unproved(seat: Seat, prove: Step) -> Step:
    """An interrupted run activated what is there now; if that does not stand the proof, what was proved comes back."""
    same = seat.balancer is not None and seat.balancer.config == seat.target.config.text
    if not (same and _is_unproved(seat) and is_up(seat) and seat.served):
        return prove
    host, name = seat.host.name, seat.target.spec.name
    return replace(prove, undo=(RestoreConfig(host, name), ReloadConfig(host, name)), undo_if_failed=True)


class _Planner:
    """Holds what every group needs to look at; ``notes`` is what it collects besides steps."""

    def __init__(self, desired: Desired, observed: Observed) -> None:
        self.desired = desired
        self.observed = observed
        self.notes: list[str] = []

    def party(self, party: Party) -> list[Step]:
        group = party.name
        fresh = [seat for seat in party.seats if not is_up(seat)]
        blocking = party.blocking(fresh)
        steps: list[Step] = []
        for seat in party.seats:
            steps += self._waf(seat, group)
            steps += self._change_running(seat, group) if is_up(seat) else self._prepare(seat, group)
        for leaver in blocking:
            steps += self._give_way(leaver, fresh, group)
        for seat in fresh:
            steps += self._start(seat, group)
        for seat in party.seats:
            if self._touched(seat, steps) or succeeds_somebody(seat, party) or _is_unproved(seat):
                prove = replace(prove_step(self.desired, self.observed, seat), group=group)
                steps.append(prove if succeeds_somebody(seat, party) else _taken_back_if_unproved(seat, prove))
            steps += remove_tls_files(seat, group)
        return steps

    def clean_up(self, party: Party) -> list[Step]:
        """Who leaves is removed once whoever comes has proved itself."""
        blocking = party.blocking([seat for seat in party.seats if not is_up(seat)])
        steps = [
            step for leaver in party.leavers for step in self._remove(leaver, party.name, stopped=leaver in blocking)
        ]
        for seat in party.seats:
            keep = seat.target.waf.spec.name if seat.target.waf else ""
            steps += remove_wafs(self.desired, seat.host, seat.target.vip.name, keep, (party.name,))
        return steps

    def left_behind(self, parties: Iterable[Party]) -> list[Step]:
        """What a VIP had on a host beside its last load balancer there, once, however many leave."""
        leaving: dict[tuple[str, str], list[str]] = {}
        for party in parties:
            for place in sorted({(leaver.vip, leaver.host) for leaver in party.leavers}):
                leaving.setdefault(place, []).append(party.name)
        steps: list[Step] = []
        for (vip, name), groups in leaving.items():
            host = self.observed.host(name)
            if any(each.name == vip and name in each.hosts for each in self.desired.vips) or isinstance(host, Unknown):
                continue
            wafs = remove_wafs(self.desired, host, vip, "", tuple(groups))
            needs = dict.fromkeys([*(f"clean-up after {each}" for each in groups), *(step.group for step in wafs)])
            steps += [*wafs, *remove_sockets(self.desired, host, vip, needs)]
        return steps

    def _waf(self, seat: Seat, group: str) -> list[Step]:
        volume = seat.target.spec.sockets_volume
        steps = sockets_step(self.desired, seat.host, seat.target.vip, volume, group) if seat.current is None else []
        if seat.target.waf is not None:
            steps += prepare_waf(self.desired, seat.host, seat.target.vip, seat.target.waf, group)
        return steps

    def _touched(self, seat: Seat, steps: list[Step]) -> bool:
        address = seat.target.address
        names = {seat.target.spec.name, seat.target.waf.spec.name if seat.target.waf else ""} - {""}
        return any(
            step.action.spec == address
            if isinstance(step.action, CreateNetwork)
            else getattr(step.action, "container", "") in names
            for step in steps
        )

    def _prepare(self, seat: Seat, group: str) -> list[Step]:
        """Everything up to the start of a container that does not run: nothing here touches traffic."""
        host, spec = seat.host, seat.target.spec
        steps: list[Step] = []

        def add(action: Action, cause: str, needs: tuple[str, ...] = ()) -> None:
            steps.append(Step(action, cause, group, needs=needs))

        needs = (*needs_image(self.desired, host, spec.image), *map(names.network_group, spec.networks[1:]))
        if seat.current is None:
            vip = seat.target.vip
            cause = f"VIP {vip.name} has no such load balancer here ({vip.source})"
            if not any(volume.name == spec.config_volume for volume in host.volumes):
                volume = CreateVolume(host.name, spec.config_volume, self.desired.project, vip.name)
                add(volume, "its configuration lives there", needs)
            add(CreateContainer(host.name, spec), cause, needs)
            on: tuple[str, ...] = spec.networks[:1]
        else:
            if seat.current.state == "restarting":
                add(StopContainer(host.name, spec.name), "it fails and restarts over and over")
            on = seat.current.networks()
        steps += self._connect(seat, on, group)
        steps += self._leave(seat, on, group)
        steps += put_tls_files(seat, group)
        if seat.balancer is None or seat.balancer.config != seat.target.config.text:
            cause = "it has none yet" if seat.current is None else "it is not what the file says"
            steps += self._deliver(seat, cause, group, undo=())
        return steps

    def _connect(self, seat: Seat, on: tuple[str, ...], group: str) -> list[Step]:
        return [
            Step(
                ConnectNetwork(seat.host.name, seat.target.spec.name, network),
                "its members are on it" if network != BRIDGE else "the published port is reached over it",
                group,
                needs=(names.network_group(network),),
            )
            for network in seat.target.spec.networks
            if network not in on
        ]

    def _leave(self, seat: Seat, on: tuple[str, ...], group: str) -> list[Step]:
        """Before the proof, because names are looked up on all networks; a change that is undone joins them again."""
        host, name = seat.host.name, seat.target.spec.name
        return [
            Step(
                DisconnectNetwork(host, name, network),
                f"no pool of VIP {seat.target.vip.name} is on it",
                group,
                undo=(ConnectNetwork(host, name, network),),
            )
            for network in on
            if network not in seat.target.spec.networks
        ]

    def _deliver(self, seat: Seat, cause: str, group: str, undo: tuple[Action, ...]) -> list[Step]:
        host, name, config = seat.host.name, seat.target.spec.name, seat.target.config
        return [
            Step(WriteConfig(host, name, config), cause, group),
            Step(ValidateConfig(host, name, config), "HAProxy judges before anything uses it", group),
            Step(ActivateConfig(host, name, config, seat.served), "HAProxy accepted it", group, undo=undo),
        ]

    def _give_way(self, leaver: Leaver, fresh: list[Seat], group: str) -> list[Step]:
        waiting = next(seat for seat in fresh if in_the_way(seat, leaver))
        here = leaver.host == waiting.host.name
        taken = overlap(waiting.target.spec.publish, leaver.container.wanted_ports) if here else ()
        ports = ", ".join(map(str, taken))
        what = f"port {ports}" if ports else f"address {waiting.target.vip.address}"
        cause = f"it holds {what}, which {waiting.target.spec.name} needs: not seamless, a few seconds without answers"
        self.notes.append(f"VIP {waiting.target.label}: not seamless, {what} changes hands")
        name = leaver.container.name
        back = StartContainer(leaver.host, name)
        return [Step(StopContainer(leaver.host, name, GIVE_WAY_S), cause, group, undo=(back,), undo_if_failed=True)]

    def _put_address(self, seat: Seat, group: str) -> list[Step]:
        """Give the VIP's address to its host, after taking it from any other; nothing when it is there. By its number:
        the network that carries it may have been made for a VIP that has another name now."""
        project, address = self.desired.project, seat.target.address
        if address is None or holds_address(seat.host, project, address.gateway):
            return []
        steps = [
            Step(
                RemoveNetwork(host, network.name, network.id, network.gateway),
                f"two hosts must not have {network.gateway} at once",
                group,
                undo=(CreateNetwork(host, _address_again(network, project)), Announce(host, network.gateway)),
            )
            for host, network in address_networks(project, self.observed)
            if host != seat.host.name and network.gateway == address.gateway
        ]
        cause = f"VIP {seat.target.vip.name} has an address of its own ({seat.target.vip.source})"
        back = RemoveNetwork(seat.host.name, address.name, "", address.gateway)
        return [*steps, Step(CreateNetwork(seat.host.name, address), cause, group, undo=(back,))]

    def _announce(self, seat: Seat, group: str) -> list[Step]:
        address, host = seat.target.address, seat.host.name
        if address is None:
            return []
        cause = "neighbours may still know it elsewhere"
        return [Step(Announce(host, address.gateway), cause, group, needs=(names.node_group(host),))]

    def _start(self, seat: Seat, group: str) -> list[Step]:
        host, name = seat.host.name, seat.target.spec.name
        cause = "all of it is ready" if seat.current is None else f"it is {seat.current.state}"
        back = StopContainer(host, name)
        start = Step(StartContainer(host, name), cause, group, undo=(back,), undo_if_failed=True)
        return [*self._put_address(seat, group), start, *self._announce(seat, group)]

    def _change_running(self, seat: Seat, group: str) -> list[Step]:
        """A running container of the right specification: change what differs, without a restart."""
        assert seat.current is not None
        assert seat.balancer is not None
        running = seat.running
        assert running is not None
        steps = self._put_address(seat, group)
        steps += self._announce(seat, group) if steps else []
        steps += self._connect(seat, seat.current.networks(), group)
        steps += put_tls_files(seat, group)
        steps += self._change_config(seat, running, group)
        return [*steps, *self._leave(seat, seat.current.networks(), group)]

    def _change_config(self, seat: Seat, running: RunningHaproxy, group: str) -> list[Step]:
        host, name, config = seat.host.name, seat.target.spec.name, seat.target.config
        assert seat.balancer is not None
        text_differs = seat.balancer.config != config.text
        # Edited by hand, it may also have been loaded by hand, with our structure still standing in it.
        edited = isinstance(seat.balancer.config, str) and not alike(seat.balancer.config, config.text)
        reload = running.structure != config.structure or edited
        wanted = changes(seat.target.tree, running)
        steps: list[Step] = []
        undo: tuple[Action, ...] = (RestoreConfig(host, name),)
        if reload:
            undo = (*undo, ReloadConfig(host, name))
        delivered = self._deliver(seat, "it is not what the file says", group, undo)
        if text_differs:
            steps += delivered[:2]
        if wanted:
            back = tuple(inverse(change, running) for change in wanted)
            cause = "the running HAProxy differs from the configuration in nothing but this" if not reload else (
                "what the runtime socket can set is set before the reload"
            )  # fmt: skip
            steps.append(
                Step(
                    SetServers(host, name, wanted),
                    cause,
                    group,
                    undo=(SetServers(host, name, back),),
                    undo_if_failed=True,
                )
            )
        if text_differs:
            steps += delivered[2:]
        if reload:
            cause = (
                "the running HAProxy has another configuration loaded"
                if running.structure != config.structure
                else "the running HAProxy may have loaded what was there before"
            )
            steps.append(Step(ReloadConfig(host, name), cause, group))
        return steps

    def _remove(self, leaver: Leaver, party: str, *, stopped: bool) -> list[Step]:
        """A group of its own that needs the party's: a removal that fails must not undo what was proved."""
        group, needs = f"clean-up after {party}", (party,)
        host, container = leaver.host, leaver.container
        desired = any(vip.name == leaver.vip for vip in self.desired.vips)
        cause = (
            f"VIP {leaver.vip} has another load balancer now"
            if desired
            else f"VIP {leaver.vip} is no longer in the file"
        )
        steps: list[Step] = []
        if container.state in ("running", "restarting", "paused") and not stopped:
            steps.append(Step(StopContainer(host, container.name), cause, group, needs=needs))
        steps.append(Step(RemoveContainer(host, container.name, container.id), cause, group, needs=needs))
        known = self.observed.host(host)
        volumes = getattr(known, "volumes", ())
        if any(volume.name == container.name for volume in volumes):
            steps.append(Step(RemoveVolume(host, container.name), cause, group, needs=needs))
        return steps


def _address_again(network: ObservedNetwork, project: str) -> NetworkSpec:
    vip = network.labels.get(LABEL_NAME) or ""
    return NetworkSpec(
        name=network.name,
        driver="bridge",
        kind="address",
        subnet=network.subnet,
        gateway=network.gateway,
        options=(
            ("com.docker.network.bridge.enable_ip_masquerade", "false"),
            ("com.docker.network.bridge.name", names.address_device(project, vip, network.gateway)),
        ),
        labels=labels_for(project, "address", vip),
    )
