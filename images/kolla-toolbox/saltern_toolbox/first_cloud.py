"""The first things in a new cloud, up to an instance that can be reached: made where they are missing, removed again.

What is made bears :data:`MARK`, and only that is ever changed or removed. Flavors, images and the external network that
an operator has by the same name are used as they are; where another's network, router or instance has the name,
nothing is done to it and the error says so.
"""

from saltern_toolbox.overview import addresses_of
from saltern_toolbox.parts import MARK, MARK_TAG, Parts, own, same_key
from saltern_toolbox.report import Failed, Refused, change

PAUSE = 1.0
PASSING = ("BUILD", "REBOOT", "HARD_REBOOT", "RESIZE", "VERIFY_RESIZE", "MIGRATING")  # will be ACTIVE by themselves
WAKERS = {"SHUTOFF": "os-start", "PAUSED": "unpause", "SUSPENDED": "resume"}
READY_SECONDS = 120  # for agents and hypervisors that have just been started to report themselves
GONE_SECONDS = 120


class FirstCloud:
    """One request.

    apis
        Clients: ``network``, ``compute``, ``image``, ``placement`` with get, post, put, patch, delete, upload.
    want
        What there has to be, complete: the model's ``first_cloud``.
    act
        False: say what would be changed.
    """

    def __init__(self, apis, want, act, sleep, clock):
        self._apis, self._want, self._act = apis, want, act
        self._sleep, self._clock = sleep, clock
        self.changes, self.errors, self.notes = [], [], []
        self._parts = Parts(apis, act, self.changes)

    def ensure(self):
        """Make what is missing; the instance, None in a dry run that would make it."""
        want, parts = self._want, self._parts
        flavors = {flavor["name"]: parts.flavor(flavor) for flavor in want["flavors"]}
        image = parts.image(want["image"])
        external = parts.external(want["external"]) if want["external"] else None
        if not want["external"]:
            self.notes.append("No external network (openstack:networks:external): no router, no floating address")
        network = parts.network(want["network"])
        subnet = parts.subnet(want["network"], network)
        if want["external"]:
            parts.router(want["router"], external, subnet)
        parts.security_group(want["security_group"], want["ingress"])
        parts.key_pair(want["key_pair"], want["public_key"])
        server = self._instance(flavors[want["instance"]["flavor"]], image, network)
        if want["external"]:
            server = self._floating(server, external)
        return self._described(server)

    # -- the instance --------------------------------------------------------------------------------------------------

    def _instance(self, flavor, image, network):
        wanted = self._want["instance"]
        # Nova takes a name for a regular expression; the find itself compares.
        found = self._parts.find(self._apis.compute, "/servers/detail", "servers", wanted["name"])
        own(found, "instance", wanted["name"], "instance")
        if found and found["status"] == "ERROR":
            self._change("instance", "update", f"it was in ERROR: {fault(found)}")
            if not self._act:
                return found
            self._delete_server(found)
        elif found:
            if found["status"] in WAKERS:
                self._change("instance", "update", f"it was {found['status']}")
            return self._active(self._awake(found)) if self._act else found
        else:
            self._change("instance", "create")
        return self._boot(flavor, image, network) if self._act else None

    def _boot(self, flavor, image, network):
        self._ready(flavor)
        wanted = self._want["instance"]
        body = {
            "name": wanted["name"],
            "description": MARK,
            "flavorRef": flavor["id"],
            "imageRef": image["id"],
            "key_name": self._want["key_pair"],
            "networks": [{"uuid": network["id"]}],
            "security_groups": [{"name": self._want["security_group"]}],
        }
        return self._active(self._apis.compute.post("/servers", {"server": body})["server"])

    def _awake(self, server):
        if server["status"] in WAKERS:
            self._apis.compute.post(f"/servers/{server['id']}/action", {WAKERS[server["status"]]: None})
        return server

    def _active(self, server):
        """Wait until the instance is ACTIVE. Raises Failed with Nova's own words when it will not be."""
        name, until = self._want["instance"]["name"], self._clock() + self._want["wait"]
        passing = (*PASSING, server.get("status"))  # what has just been told to wake up is not awake yet
        while True:
            found = self._apis.compute.get(f"/servers/{server['id']}")["server"]
            if found["status"] == "ACTIVE":
                return found
            if found["status"] not in passing or found["status"] == "ERROR":
                raise Failed(f"instance {name} is {found['status']}: {fault(found)}")
            if self._clock() >= until:
                task = found.get("OS-EXT-STS:task_state") or "no task"
                raise Failed(f"instance {name} is {found['status']} ({task}) after {self._want['wait']:g} s")
            self._sleep(PAUSE)

    def _ready(self, flavor):
        """Wait until there are agents and a hypervisor with room: Nova would not wait for them."""
        until = self._clock() + READY_SECONDS
        while missing := self._missing(flavor):
            if self._clock() >= until:
                raise Failed(f"no instance can be made: {missing} after {READY_SECONDS} s (salt-run openstack.status)")
            self._sleep(PAUSE)

    def _missing(self, flavor):
        alive = {agent["binary"] for agent in self._apis.network.get("/agents")["agents"] if agent["alive"]}
        for binary in self._want["agents"]:
            if binary not in alive:
                return f"no {binary} is alive"
        if not any(
            service["state"] == "up" and service["status"] == "enabled"
            for service in self._apis.compute.get("/os-services", binary="nova-compute")["services"]
        ):
            return "no nova-compute is up and enabled"
        size = f"VCPU:{flavor['vcpus']},MEMORY_MB:{flavor['ram']}"
        found = self._apis.placement.get("/allocation_candidates", resources=size, limit=1)
        return "" if found["provider_summaries"] else "no hypervisor has room for it"

    # -- its address ---------------------------------------------------------------------------------------------------

    def _floating(self, server, external):
        """The instance as it is with a floating address."""
        port = self._port(server)
        found = port and self._apis.network.get("/floatingips", port_id=port)["floatingips"]
        if found:
            return server
        self._change("floating address", "create")
        if not self._act or port is None:
            return server
        spare = [f for f in self._ours(self._apis.network, "/floatingips", "floatingips") if not f["port_id"]]
        if spare:
            self._apis.network.put(f"/floatingips/{spare[0]['id']}", {"floatingip": {"port_id": port}})
        else:
            body = {"floating_network_id": external["id"], "port_id": port, "description": MARK}
            self._apis.network.post("/floatingips", {"floatingip": body})
        return server

    def _port(self, server):
        if server is None:
            return None
        ports = self._apis.network.get("/ports", device_id=server["id"])["ports"]
        if not ports and self._act:
            raise Failed(f"instance {server['name']} has no port")
        return ports[0]["id"] if ports else None

    def _described(self, server):
        if server is None:
            return None
        port = self._port(server)
        floating = self._apis.network.get("/floatingips", port_id=port)["floatingips"] if port else []
        fixed = addresses_of(server)["fixed"]
        return {
            "id": server["id"],
            "name": server["name"],
            "fixed": fixed[0] if fixed else None,
            "floating": floating[0]["floating_ip_address"] if floating else None,
            "host": server.get("OS-EXT-SRV-ATTR:host"),
            "status": server["status"],
        }

    # -- and away with it ----------------------------------------------------------------------------------------------

    def remove(self):
        """Remove what bears our mark, what uses it first. What others use by now stays, and is named in ``errors``."""
        network, compute, image = self._apis.network, self._apis.compute, self._apis.image
        for found in self._ours(network, "/floatingips", "floatingips"):
            self._remove("floating address", found["floating_ip_address"], network, f"/floatingips/{found['id']}")
        for found in self._ours(compute, "/servers/detail", "servers"):
            self._tried("instance", found["name"], lambda found=found: self._delete_server(found))
        for found in self._ours(network, "/routers", "routers"):
            self._tried("router", found["name"], lambda found=found: self._delete_router(found))
        networks = self._ours(network, "/networks", "networks")
        for found in sorted(networks, key=lambda found: found["router:external"]):
            kind = "external network" if found["router:external"] else "network"
            self._remove(kind, found["name"], network, f"/networks/{found['id']}")
        for found in self._ours(network, "/security-groups", "security_groups"):
            self._remove("security group", found["name"], network, f"/security-groups/{found['id']}")
        self._remove_key_pair()
        for found in image.get("/images", tag=MARK_TAG, limit=100)["images"]:
            self._remove("image", found["name"], image, f"/images/{found['id']}")
        for found in self._ours(compute, "/flavors/detail", "flavors", is_public="None"):
            self._remove("flavor", found["name"], compute, f"/flavors/{found['id']}")

    def _remove_key_pair(self):
        name = self._want["key_pair"]
        for entry in self._apis.compute.get("/os-keypairs")["keypairs"]:
            found = entry["keypair"]
            if found["name"] == name and same_key(found["public_key"], self._want["public_key"]):
                self._remove("key pair", name, self._apis.compute, f"/os-keypairs/{name}")

    def _delete_server(self, server):
        path, until = f"/servers/{server['id']}", self._clock() + GONE_SECONDS
        self._apis.compute.delete(path)
        while self._there(path):
            if self._clock() >= until:
                raise Failed(f"instance {server['name']} is still there after {GONE_SECONDS} s")
            self._sleep(PAUSE)

    def _there(self, path):
        try:
            return self._apis.compute.get(path)["server"]["status"] != "DELETED"
        except Refused as error:
            if error.status == 404:
                return False
            raise

    def _delete_router(self, router):
        network = self._apis.network
        owner = "network:router_interface"
        for port in network.get("/ports", device_id=router["id"], device_owner=owner)["ports"]:
            network.put(f"/routers/{router['id']}/remove_router_interface", {"port_id": port["id"]})
        network.delete(f"/routers/{router['id']}")

    def _remove(self, kind, name, api, path):
        self._tried(kind, name, lambda: api.delete(path))

    def _tried(self, kind, name, do):
        """What cannot be removed does not keep the rest from going."""
        try:
            if self._act:
                do()
            self.changes.append(change(kind, name, "delete"))
        except Failed as error:
            self.errors.append(f"{kind} {name} stays: {error}")

    def _ours(self, api, path, key, **query):
        return [found for found in api.get(path, **query)[key] if found.get("description") == MARK]

    def _change(self, kind, what, field=None):
        self.changes.append(change(kind, self._want["instance"]["name"], what, field))


def fault(server):
    """Why an instance is in ERROR, in Nova's words."""
    return (server.get("fault") or {}).get("message") or "Nova gives no reason"
