"""What an instance needs, one function a kind: found by name, made where missing, put right where it is ours."""

import io
import pathlib

from saltern_toolbox.report import Failed, change

MARK = "Made by Saltern: first cloud"  # description of all that has one
MARK_TAG = "saltern-first-cloud"  # images have tags instead
GUEST = pathlib.Path("/usr/share/saltern/guest")  # kernel and initrd of the test instance, from the image "guest"
# The initrd brings its own /init. An emulated clock on a busy host may tick too late for the kernel's test of it, which
# would be a panic; after any other the guest boots anew.
COMMAND_LINE = "console=ttyS0 no_timer_check panic=1"
DISK_BYTES = 8 << 20  # an empty disk: everything is in the initrd
ANEW = "remove the first cloud, then make it anew"
PATCH = "application/openstack-images-v2.1-json-patch"


class Parts:
    """Finds and makes.

    apis
        Clients of the services.
    act
        False: nothing is made, and what would have been is None.
    changes
        Gets what was (or would be) changed.
    """

    def __init__(self, apis, act, changes):
        self._apis, self._act, self._changes = apis, act, changes

    def find(self, api, path, key, name, **query):
        """What has that name: ours before another's; None where nothing has it."""
        found = [thing for thing in api.get(path, name=name, **query)[key] if thing["name"] == name]
        return max(found, key=ours, default=None)

    def flavor(self, want):
        # all of them: since 2.75 Nova refuses what it does not filter by, and a flavor's name is such
        every = self._apis.compute.get("/flavors/detail", is_public="None")["flavors"]
        found = max((flavor for flavor in every if flavor["name"] == want["name"]), key=ours, default=None)
        wrong = [field for field in ("vcpus", "ram", "disk") if found and found[field] != want[field]]
        if found and (not wrong or not ours(found)):
            return found
        if found:  # flavors cannot be changed; instances keep what they were made with
            self._changed("flavor", want["name"], "update", ", ".join(wrong))
            if self._act:
                self._apis.compute.delete(f"/flavors/{found['id']}")
        else:
            self._changed("flavor", want["name"], "create")
        return self._make(self._apis.compute, "/flavors", "flavor", {**want, "description": MARK})

    # -- images --------------------------------------------------------------------------------------------------------

    def image(self, want):
        """An empty disk whose kernel and initrd are images too: it boots in seconds, without a boot loader."""
        name = want["name"]
        found = self._image(name)
        if found and not ours(found):
            return found
        kernel = self._blob(f"{name}-kernel", "aki", lambda: (GUEST / "vmlinuz").open("rb"))
        initrd = self._blob(f"{name}-initrd", "ari", lambda: (GUEST / "initrd").open("rb"))
        boots = {
            "kernel_id": kernel and kernel["id"],
            "ramdisk_id": initrd and initrd["id"],
            "os_command_line": COMMAND_LINE,
        }
        image = self._blob(name, "ami", lambda: io.BytesIO(bytes(DISK_BYTES)), {**boots, "hw_rng_model": "virtio"})
        wrong = {key: value for key, value in boots.items() if image and value and image.get(key) != value}
        if wrong:
            self._changed("image", name, "update", ", ".join(wrong))
            if self._act:
                body = [{"op": "add", "path": f"/{key}", "value": value} for key, value in wrong.items()]
                self._apis.image.patch(f"/images/{image['id']}", body, PATCH)
        return image

    def _image(self, name):
        return self.find(self._apis.image, "/images", "images", name)

    def _blob(self, name, kind, opened, properties=None):
        found = self._image(name)
        if found and found["status"] == "active":
            return found
        if found and not ours(found):
            raise Failed(
                f"image {name} is there, not ours and {found['status']}: name another, openstack:first_cloud:image"
            )
        self._changed("image", name, "update" if found else "create", f"it was {found['status']}" if found else None)
        if not self._act:
            return None
        if found:  # an upload that was cut off
            self._apis.image.delete(f"/images/{found['id']}")
        return self._upload(name, kind, opened, properties or {})

    def _upload(self, name, kind, opened, properties):
        try:
            data = opened()
        except OSError as error:
            raise Failed(f"image {name}: this toolbox has no guest ({error.strerror}: {error.filename})") from None
        with data:
            body = {"name": name, "disk_format": kind, "container_format": kind, "tags": [MARK_TAG], **properties}
            made = self._apis.image.post("/images", {**body, "visibility": "public"})
            self._apis.image.upload(f"/images/{made['id']}/file", data)
        return made

    # -- networks ------------------------------------------------------------------------------------------------------

    def external(self, want):
        """The external network; another's is used as it is, also its subnets."""
        found = self.find(self._apis.network, "/networks", "networks", want["name"])
        if found and not found["router:external"]:
            raise Failed(
                f"network {want['name']} is there and not external: name another, openstack:networks:external:name"
            )
        if found and not ours(found):
            return found
        kind = {"provider:network_type": "flat" if want["vlan"] is None else "vlan"}
        if want["vlan"] is not None:
            kind["provider:segmentation_id"] = want["vlan"]
        body = {"name": want["name"], "router:external": True, "provider:physical_network": want["provider"], **kind}
        network = self._network(found, "external network", body)
        start, end = want["floating"]
        subnet = {
            "name": want["name"],
            "cidr": want["cidr"],
            "gateway_ip": want["gateway"],
            "enable_dhcp": False,
            "allocation_pools": [{"start": start, "end": end}],
        }
        self._subnet("external subnet", network, subnet, ("allocation_pools",))
        return network

    def network(self, want):
        found = self.find(self._apis.network, "/networks", "networks", want["name"], project_id=self._apis.project())
        own(found, "network", want["name"], "network")
        return self._network(found, "network", {"name": want["name"]})

    def subnet(self, want, network):
        body = {"name": want["name"], "cidr": want["cidr"], "dns_nameservers": want["dns"]}
        return self._subnet("subnet", network, body, ("dns_nameservers",))

    def _network(self, found, kind, body):
        if found:
            wrong = [key for key in body if key.startswith("provider:") and found.get(key) != body[key]]
            if wrong:
                raise Failed(f"{kind} {body['name']} differs in {', '.join(wrong)}: {ANEW}")
            return found
        self._changed(kind, body["name"], "create")
        return self._make(self._apis.network, "/networks", "network", {**body, "description": MARK})

    def _subnet(self, kind, network, body, fields):
        found = network and self._apis.network.get("/subnets", network_id=network["id"])["subnets"]
        found = next((s for s in found or [] if s["name"] == body["name"]), None)
        if not found:
            self._changed(kind, body["name"], "create")
            body = {**body, "ip_version": 4, "description": MARK, "network_id": network and network["id"]}
            return self._make(self._apis.network, "/subnets", "subnet", body)
        if found["cidr"] != body["cidr"]:
            raise Failed(f"{kind} {body['name']} is {found['cidr']} and not {body['cidr']}: {ANEW}")
        wrong = {field: body[field] for field in fields if found[field] != body[field]}
        if wrong:
            self._changed(kind, body["name"], "update", ", ".join(wrong))
            self._put(f"/subnets/{found['id']}", "subnet", wrong)
        return found

    def router(self, name, external, subnet):
        found = self.find(self._apis.network, "/routers", "routers", name, project_id=self._apis.project())
        own(found, "router", name, "router")
        gateway = {"external_gateway_info": {"network_id": external and external["id"]}}
        if not found:
            self._changed("router", name, "create")
            found = self._make(self._apis.network, "/routers", "router", {"name": name, "description": MARK, **gateway})
        elif (found["external_gateway_info"] or {}).get("network_id") != gateway["external_gateway_info"]["network_id"]:
            self._changed("router", name, "update", "external gateway")
            self._put(f"/routers/{found['id']}", "router", gateway)
        self._interface(name, found, subnet)
        return found

    def _interface(self, name, router, subnet):
        ports = self._apis.network.get("/ports", device_id=router["id"])["ports"] if router and subnet else []
        if any(entry["subnet_id"] == subnet["id"] for port in ports for entry in port["fixed_ips"]):
            return
        self._changed("router interface", name, "create")
        if self._act:
            self._apis.network.put(f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})

    def security_group(self, name, ingress):
        """A group that lets in what ``ingress`` says: ``{"protocol", "port"}``, port None for all of it."""
        project = self._apis.project()
        found = self.find(self._apis.network, "/security-groups", "security_groups", name, project_id=project)
        own(found, "security group", name, "security_group")
        if not found:
            self._changed("security group", name, "create")
            body = {"name": name, "description": MARK}
            found = self._make(self._apis.network, "/security-groups", "security_group", body)
        held = {
            (rule["protocol"], rule["port_range_min"], rule["port_range_max"])
            for rule in (found or {}).get("security_group_rules") or []
            if rule["direction"] == "ingress" and rule["ethertype"] == "IPv4" and not rule["remote_group_id"]
        }
        for rule in ingress:
            self._rule(name, found, rule, held)

    def _rule(self, name, group, rule, held):
        if (rule["protocol"], rule["port"], rule["port"]) in held:
            return
        title = f"{rule['protocol']} {rule['port']}" if rule["port"] else rule["protocol"]
        self._changed("rule", f"{name}: {title}", "create")
        if self._act:
            body = {"security_group_id": group["id"], "direction": "ingress", "protocol": rule["protocol"]}
            ports = {"port_range_min": rule["port"], "port_range_max": rule["port"]} if rule["port"] else {}
            self._apis.network.post("/security-group-rules", {"security_group_rule": {**body, **ports}})

    # -- the key -------------------------------------------------------------------------------------------------------

    def key_pair(self, name, public):
        """The public key in Nova. A pair has no description: it is ours when it holds the key that the host has."""
        found = [entry["keypair"] for entry in self._apis.compute.get("/os-keypairs")["keypairs"]]
        found = [pair for pair in found if pair["name"] == name]
        if found and not same_key(found[0]["public_key"], public):
            raise Failed(
                f"key pair {name} holds another key than this host: openstack keypair delete {name},"
                " or name another: openstack:first_cloud:key_pair"
            )
        if not found:
            self._changed("key pair", name, "create")
            self._make(
                self._apis.compute, "/os-keypairs", "keypair", {"name": name, "type": "ssh", "public_key": public}
            )

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _make(self, api, path, key, body):
        return api.post(path, {key: body})[key] if self._act else None

    def _put(self, path, key, body):
        if self._act:
            self._apis.network.put(path, {key: body})

    def _changed(self, kind, name, what, field=None):
        self._changes.append(change(kind, name, what, field))


def ours(thing):
    """Whether the program made it."""
    return thing.get("description") == MARK or MARK_TAG in (thing.get("tags") or [])


def own(found, kind, name, key):
    """Raises Failed for a thing of another that has the name of one of ours."""
    if found and not ours(found):
        raise Failed(f"{kind} {name} is there and not ours: name another, openstack:first_cloud:{key}")


def same_key(one, other):
    """Whether two public keys are the same, whatever their comments say."""
    return bool(one and other) and one.split()[:2] == other.split()[:2]
