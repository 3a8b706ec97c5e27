"""What the cloud says of itself: agents, compute services, hypervisors, instances; one call for each list, reads only.

A service that is away is an error text in the answer.
"""

from saltern_toolbox.report import Failed

MOST = 1000  # of the longest list; Nova gives no more at once


def overview(apis):
    """The answer of the action ``overview``, with ``errors``."""
    answer = {"agents": [], "services": [], "hypervisors": [], "instances": [], "errors": []}
    for part, read in (
        ("agents", agents),
        ("services", services),
        ("hypervisors", hypervisors),
        ("instances", instances),
    ):
        try:
            answer[part] = read(apis)
        except Failed as error:
            if str(error) not in answer["errors"]:  # a service that is away is away for each of its lists
                answer["errors"].append(str(error))
    return answer


def agents(apis):
    """Neutron's agents, by host and name."""
    found = [
        {
            "host": agent["host"],
            "binary": agent["binary"],
            "topic": agent["topic"],
            "alive": agent["alive"],
            "enabled": agent["admin_state_up"],
        }
        for agent in apis.network.get("/agents")["agents"]
    ]
    return sorted(found, key=lambda agent: (agent["host"], agent["binary"]))


def services(apis):
    """Nova's services, by host and name."""
    found = [
        {
            "host": service["host"],
            "binary": service["binary"],
            "up": service["state"] == "up",
            "enabled": service["status"] == "enabled",
        }
        for service in apis.compute.get("/os-services")["services"]
    ]
    return sorted(found, key=lambda service: (service["host"], service["binary"]))


def hypervisors(apis):
    """Hypervisors with their size and what is taken of it, by host."""
    found = [
        {
            "host": entry["service"]["host"],
            "type": entry["hypervisor_type"],
            "vcpus": entry["vcpus"],
            "vcpus_used": entry["vcpus_used"],
            "memory_mb": entry["memory_mb"],
            "memory_mb_used": entry["memory_mb_used"],
            "running": entry["running_vms"],
        }
        for entry in apis.compute.get("/os-hypervisors/detail")["hypervisors"]
    ]
    return sorted(found, key=lambda entry: entry["host"])


def instances(apis):
    """Instances of all projects, by name. Nova hears of a new floating address late: Neutron is asked."""
    found = apis.compute.get("/servers/detail", all_tenants=1, limit=MOST)["servers"]
    floating = {}
    for entry in apis.network.get("/floatingips")["floatingips"] if found else ():
        device = (entry.get("port_details") or {}).get("device_id")
        floating.setdefault(device, []).append(entry["floating_ip_address"])
    listed = [instance(server, floating.get(server["id"], [])) for server in found]
    return sorted(listed, key=lambda entry: (entry["name"], entry["id"]))


def instance(server, floating=None):
    """The few fields of a server that people ask for; ``floating`` are its floating addresses as Neutron knows them."""
    addresses = addresses_of(server)
    return {
        "id": server["id"],
        "name": server["name"],
        "host": server.get("OS-EXT-SRV-ATTR:host"),
        "status": server["status"],
        "addresses": addresses["fixed"] + (addresses["floating"] if floating is None else floating),
    }


def addresses_of(server):
    """Addresses of a server as ``{"fixed": […], "floating": […]}``."""
    found = {"fixed": [], "floating": []}
    for entries in (server.get("addresses") or {}).values():
        for entry in entries:
            found.setdefault(entry.get("OS-EXT-IPS:type", "fixed"), []).append(entry["addr"])
    return found
