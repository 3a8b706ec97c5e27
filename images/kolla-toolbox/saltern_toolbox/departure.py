"""A host leaves the cloud: nothing new comes to it, what is on it goes elsewhere, then its records go.

Every step asks first how things are, so that a call which was cut off is simply made again. Nothing that holds data is
ever removed here: an instance that cannot be moved is named, and whoever asked decides.
"""

from saltern_toolbox.overview import instance
from saltern_toolbox.report import Failed, Refused, change

PAUSE = 2.0
REASON = "removed by openstack.host_remove"
COMPUTE = "nova-compute"
L3, DHCP = "neutron-l3-agent", "neutron-dhcp-agent"
LIVE, COLD = ("ACTIVE", "PAUSED"), ("ACTIVE", "SHUTOFF")
BROKEN = ("error", "failed")


class Departure:
    """One host.

    apis
        Clients: ``network``, ``compute``, ``placement`` with get, post, put, delete.
    host
        Its name in Nova and Neutron.
    act
        False: say what would be changed.
    """

    def __init__(self, apis, host, act, sleep, clock):
        self._apis, self._host, self._act = apis, host, act
        self._sleep, self._clock = sleep, clock
        self.changes, self.errors, self.cold = [], [], []

    # -- what there is -------------------------------------------------------------------------------------------------

    def found(self):
        """What the cloud knows of the host, and what is on it."""
        return {
            "services": [service["binary"] for service in self._services()],
            "agents": [agent["binary"] for agent in self._agents()],
            "instances": [self._told(server) for server in self._instances()],
            "up": any(service["state"] == "up" for service in self._services()),
            "elsewhere": sum(
                s["host"] != self._host and s["state"] == "up" and s["status"] == "enabled"
                for s in self._apis.compute.get("/os-services", binary=COMPUTE)["services"]
            ),
        }

    def _services(self):
        return self._apis.compute.get("/os-services", host=self._host, binary=COMPUTE)["services"]

    def _agents(self):
        return self._apis.network.get("/agents", host=self._host)["agents"]

    def _instances(self):
        return self._apis.compute.get("/servers/detail", all_tenants=1, host=self._host)["servers"]

    def _server(self, uuid):
        return self._apis.compute.get(f"/servers/{uuid}")["server"]

    @staticmethod
    def _told(server):
        return {**instance(server), "task": server.get("OS-EXT-STS:task_state")}

    # -- nothing new comes, what serves networks goes ------------------------------------------------------------------

    def close(self):
        """Instances, routers and networks are given to other hosts from now on; its routers and networks, too."""
        self._switch_compute(False)
        self._drain()
        # An agent that is disabled stops serving at once, so what it serves goes first.
        self._switch_agents(False)
        if self._act:
            self._drain()  # what came meanwhile

    def open(self):
        """Take the host back."""
        self._switch_compute(True)
        self._switch_agents(True)

    def _switch_compute(self, on):
        for service in self._services():
            if (service["status"] == "enabled") is not on:
                body = {"status": "enabled"} if on else {"status": "disabled", "disabled_reason": REASON}
                self._do("put", self._apis.compute, f"/os-services/{service['id']}", body)
                self.changes.append(change("compute service", self._host, "update", body["status"]))

    def _switch_agents(self, on):
        for agent in self._agents():
            # The Open vSwitch agent goes on: the ports of what is still here need it.
            if agent["binary"] in (L3, DHCP) and agent["admin_state_up"] is not on:
                body = {"agent": {"admin_state_up": on}}
                self._do("put", self._apis.network, f"/agents/{agent['id']}", body)
                self.changes.append(change("agent", agent["binary"], "update", "enabled" if on else "disabled"))

    def _drain(self):
        agents = {agent["binary"]: agent["id"] for agent in self._agents()}
        if DHCP in agents:
            self._drain_networks(agents[DHCP])
        if L3 in agents:
            self._drain_routers(agents[L3])

    def _others(self, binary):
        return [
            agent["id"]
            for agent in self._apis.network.get("/agents", binary=binary)["agents"]
            if agent["host"] != self._host and agent["alive"] and agent["admin_state_up"]
        ]

    def _drain_networks(self, agent):
        others = self._others(DHCP)
        for number, network in enumerate(self._apis.network.get(f"/agents/{agent}/dhcp-networks")["networks"]):
            if not others:
                self._fault("no other host has a DHCP agent: networks will be without DHCP")
                return
            # First there, then not here: two servers of one network agree with each other.
            self._given(others[number % len(others)], "dhcp-networks", {"network_id": network["id"]})
            self._do("delete", self._apis.network, f"/agents/{agent}/dhcp-networks/{network['id']}")
            self.changes.append(change("network", network.get("name") or network["id"], "update", "DHCP moved"))

    def _drain_routers(self, agent):
        others = self._others(L3)
        for number, router in enumerate(self._apis.network.get(f"/agents/{agent}/l3-routers")["routers"]):
            if not others:
                self._fault("no other host has an L3 agent: routers and floating addresses stay here")
                return
            self._do("delete", self._apis.network, f"/agents/{agent}/l3-routers/{router['id']}")
            if not router.get("ha"):  # the other agents of one with several have it already
                self._given(others[number % len(others)], "l3-routers", {"router_id": router["id"]})
            self.changes.append(change("router", router.get("name") or router["id"], "update", "moved"))
        if others and self._act:
            self._orphans(others)

    def _orphans(self, others):
        """Routers that a call which was cut off had taken from one agent and not yet given to another."""
        for router in self._apis.network.get("/routers")["routers"]:
            # One without a gateway may rightly be nowhere yet.
            if not router.get("external_gateway_info"):
                continue
            if not self._apis.network.get(f"/routers/{router['id']}/l3-agents")["agents"]:
                self._given(others[0], "l3-routers", {"router_id": router["id"]})
                self.changes.append(change("router", router.get("name") or router["id"], "update", "given to an agent"))

    def _given(self, agent, what, body):
        try:
            self._do("post", self._apis.network, f"/agents/{agent}/{what}", body)
        except Refused as error:
            if error.status != 409:  # it has it already
                raise

    # -- instances -----------------------------------------------------------------------------------------------------

    def move(self, seconds, cold=()):
        """Move instances for some time, one after another: live where that works, else by a cold migration.

        cold
            Ids of those of which an earlier call found that they cannot be moved live.

        What is still here then is in :meth:`found`; an error says why something will not go by itself.
        """
        until, self.cold = self._clock() + seconds, list(cold)
        self._confirm(until)
        for server in self._instances():
            if self._clock() >= until:
                return
            try:
                self._moved(server, until)
            except Refused as error:
                self.errors.append(f"instance {server['name']}: {error}")

    def _moved(self, server, until):
        uuid, status, busy = server["id"], server["status"], server.get("OS-EXT-STS:task_state")
        if not busy and status in LIVE and uuid not in self.cold:
            if self._started(uuid, {"os-migrateLive": {"host": None, "block_migration": "auto"}}):
                server = self._settled(uuid, until)
            if not self._is_here(server):
                self.changes.append(change("instance", server["name"], "update", "moved live"))
                return
            status, busy = server["status"], server.get("OS-EXT-STS:task_state")
            if busy:
                return  # it goes on; the next call looks again
            self.cold.append(uuid)
        elif busy or status in ("MIGRATING", "RESIZE"):
            self._settled(uuid, until)
            self._confirm(until)
            return
        if status not in COLD:
            raise Refused(f"is {status}; start or stop it, or delete it, then run this again")
        if not self._started(uuid, {"migrate": None}):
            raise Refused("neither a live nor a cold migration was accepted (salt-run openstack.logs nova_conductor)")
        server = self._settled(uuid, until)
        self._confirm(until)
        if self._is_here(server) and not server.get("OS-EXT-STS:task_state"):
            fault = (server.get("fault") or {}).get("message", "no other host took it")
            raise Refused(f"the cold migration failed: {fault} (salt-run openstack.logs nova_conductor)")

    def _started(self, uuid, body):
        """Ask for a migration; False when Nova says at once that there will be none."""
        try:
            self._apis.compute.post(f"/servers/{uuid}/action", body)
        except Refused as error:
            if error.status in (400, 409):
                return False
            raise
        return True

    def _settled(self, uuid, until):
        """Look until nothing is under way with it, or the time is over."""
        while True:
            server = self._server(uuid)
            if not server.get("OS-EXT-STS:task_state") and server["status"] not in ("MIGRATING", "RESIZE"):
                return server
            if self._clock() >= until:
                return server
            self._sleep(PAUSE)

    def _is_here(self, server):
        return server.get("OS-EXT-SRV-ATTR:host") == self._host

    def _confirm(self, until):
        """Cold migrations away from here that are done and wait to be confirmed; until then the former disk is here."""
        query = {"source_compute": self._host, "status": "finished"}
        for migration in self._apis.compute.get("/os-migrations", **query)["migrations"]:
            try:
                server = self._server(migration["instance_uuid"])
            except Refused as error:
                if error.status == 404:  # deleted since
                    continue
                raise
            if server["status"] != "VERIFY_RESIZE":
                continue
            if migration["migration_type"] != "migration":  # somebody's own resize: theirs to keep or to take back
                self.errors.append(f"instance {server['name']}: its resize waits to be confirmed or reverted")
                continue
            self._apis.compute.post(f"/servers/{server['id']}/action", {"confirmResize": None})
            while server["status"] == "VERIFY_RESIZE" and self._clock() < until:
                self._sleep(PAUSE)
                server = self._server(server["id"])
            self.changes.append(change("instance", server["name"], "update", "moved by a cold migration"))

    # -- its records go ------------------------------------------------------------------------------------------------

    def forget(self):
        """Remove the host's compute service (and with it its hypervisor, provider and mapping), agents, and what is
        left of it in Placement. Raises Failed while instances are there."""
        left = [server["name"] for server in self._instances()]
        if left:
            raise Failed(f"{len(left)} instances are still on {self._host}: {', '.join(sorted(left))}")
        names = self._hypervisors()
        for service in self._services():
            self._do("delete", self._apis.compute, f"/os-services/{service['id']}")
            self.changes.append(change("compute service", self._host, "delete"))
        for agent in self._agents():
            self._do("delete", self._apis.network, f"/agents/{agent['id']}")
            self.changes.append(change("agent", agent["binary"], "delete"))
        for name in sorted(names):
            for provider in self._apis.placement.get("/resource_providers", name=name)["resource_providers"]:
                self._do("delete", self._apis.placement, f"/resource_providers/{provider['uuid']}")
                self.changes.append(change("resource provider", name, "delete"))

    def _hypervisors(self):
        """Names under which Placement may know the host."""
        found = self._apis.compute.get("/os-hypervisors/detail")["hypervisors"]
        return {self._host} | {h["hypervisor_hostname"] for h in found if h["service"]["host"] == self._host}

    def _fault(self, text):
        if text not in self.errors:
            self.errors.append(text)

    def _do(self, verb, api, path, *body):
        if self._act:
            getattr(api, verb)(path, *body)


def empty(apis, request, sleep, clock):
    """The answer of the action ``host_empty``, with ``errors``."""
    work = Departure(apis, request["host"], not request["dry_run"], sleep, clock)
    try:
        if request.get("reopen"):
            work.open()
        else:
            work.close()
        if request["move"] and not request["dry_run"]:
            work.move(float(request["seconds"]), request.get("cold") or ())
    except Failed as error:  # what was changed until then is told all the same
        work.errors.append(str(error))
    return {**work.found(), "changes": work.changes, "cold": work.cold, "errors": work.errors}


def forget(apis, request, sleep, clock):
    """The answer of the action ``host_forget``, with ``errors``."""
    work = Departure(apis, request["host"], True, sleep, clock)
    try:
        work.forget()
    except Failed as error:
        work.errors.append(str(error))
    return {"changes": work.changes, "errors": work.errors}
