"""Projects, roles, users, services and endpoints in Keystone: found by name, changed only where they differ."""

from saltern_toolbox.report import change

INTERFACES = ("public", "internal", "admin")


class Identity:
    """Compares and, when ``act``, changes what services want of Keystone.

    cloud
        Client with ``get``, ``post``, ``patch``, ``put``, ``delete`` and ``password_is_right``.
    domain
        Name of the domain in which users and projects live.
    region
        Region of the endpoints.
    """

    def __init__(self, cloud, domain, region, act):
        self._cloud, self._region, self._act = cloud, region, act
        self._domain = cloud.get("/domains", name=domain)["domains"][0]["id"]
        self._roles = {role["name"]: role["id"] for role in cloud.get("/roles")["roles"]}
        self._services = cloud.get("/services")["services"]
        self._endpoints = cloud.get("/endpoints")["endpoints"]
        self._projects = {}

    def reconcile(self, wanted):
        """The changes that one service needs (or got)."""
        changes = []
        for name in wanted.get("projects") or []:
            changes += self._project(name)
        for name in wanted.get("roles") or []:
            changes += self._role(name)
        for user in wanted.get("users") or []:
            changes += self._user(user)
        for service in wanted.get("services") or []:
            changes += self._service(service)
        return changes

    def _project(self, name):
        if self._project_id(name):
            return []
        body = {"name": name, "domain_id": self._domain, "enabled": True}
        self._projects[name] = self._make("/projects", "project", body)
        return [change("project", name, "create")]

    def _project_id(self, name):
        if name not in self._projects:
            found = self._cloud.get("/projects", name=name, domain_id=self._domain)["projects"]
            self._projects[name] = found[0]["id"] if found else None
        return self._projects[name]

    def _role(self, name):
        if name in self._roles:
            return []
        self._roles[name] = self._make("/roles", "role", {"name": name})
        return [change("role", name, "create")]

    def _user(self, wanted):
        changes = self._project(wanted["project"])
        for role in wanted["roles"]:
            changes += self._role(role)
        found = self._cloud.get("/users", name=wanted["name"], domain_id=self._domain)["users"]
        if found:
            uid = found[0]["id"]
            changes += self._user_fields(found[0], wanted["password"])
        else:
            body = {"name": wanted["name"], "domain_id": self._domain, "enabled": True, "password": wanted["password"]}
            uid = self._make("/users", "user", body)
            changes.append(change("user", wanted["name"], "create"))
        return changes + self._assignments(uid, wanted)

    def _user_fields(self, user, password):
        body = {}
        if not user.get("enabled", True):
            # A disabled user cannot log in, so its password cannot be tried: it is set as well.
            body = {"enabled": True, "password": password}
        elif not self._cloud.password_is_right(user["id"], password):
            body = {"password": password}
        if body:
            self._do("patch", f"/users/{user['id']}", {"user": body})
        return [change("user", user["name"], "update", field) for field in sorted(body)]

    def _assignments(self, uid, wanted):
        project = self._project_id(wanted["project"])
        held = set()
        if uid and project:
            query = {"user.id": uid, "scope.project.id": project}
            answer = self._cloud.get("/role_assignments", **query)["role_assignments"]
            held = {entry["role"]["id"] for entry in answer}
        changes = []
        for role in wanted["roles"]:
            if self._roles.get(role) in held and self._roles[role]:
                continue
            self._do("put", f"/projects/{project}/users/{uid}/roles/{self._roles[role]}", None)
            changes.append(change("assignment", f"{wanted['name']}: {role} on {wanted['project']}", "create"))
        return changes

    def _service(self, wanted):
        found = [s for s in self._services if s["type"] == wanted["type"] and s["name"] == wanted["name"]]
        changes = []
        if found:
            sid = found[0]["id"]
            changes += self._service_fields(found[0], wanted)
        else:
            body = {"name": wanted["name"], "type": wanted["type"], "enabled": True}
            sid = self._make("/services", "service", body | {"description": wanted.get("description") or ""})
            changes.append(change("service", wanted["name"], "create"))
        for interface in INTERFACES:
            if interface in wanted["endpoints"]:
                changes += self._endpoint(wanted["name"], sid, interface, wanted["endpoints"][interface])
        return changes

    def _service_fields(self, found, wanted):
        body = {}
        if wanted.get("description") is not None and found.get("description", "") != wanted["description"]:
            body["description"] = wanted["description"]
        if not found.get("enabled", True):
            body["enabled"] = True
        if body:
            self._do("patch", f"/services/{found['id']}", {"service": body})
        return [change("service", wanted["name"], "update", field) for field in sorted(body)]

    def _endpoint(self, name, sid, interface, url):
        title = f"{name} {interface}"
        found = [e for e in self._endpoints if self._is(e, sid, interface)]
        if not found:
            body = {"service_id": sid, "interface": interface, "url": url, "region_id": self._region, "enabled": True}
            self._make("/endpoints", "endpoint", body)
            return [change("endpoint", title, "create")]
        changes = []
        body = {} if found[0]["url"] == url else {"url": url}
        if not found[0].get("enabled", True):
            body["enabled"] = True
        if body:
            self._do("patch", f"/endpoints/{found[0]['id']}", {"endpoint": body})
            changes += [change("endpoint", title, "update", field) for field in sorted(body)]
        for double in found[1:]:  # clients would get one or the other by chance
            self._do("delete", f"/endpoints/{double['id']}", None)
            changes.append(change("endpoint", title, "delete", "second of its kind"))
        return changes

    def _is(self, endpoint, sid, interface):
        return (endpoint["service_id"], endpoint["interface"], endpoint.get("region_id")) == (
            sid,
            interface,
            self._region,
        )

    def _make(self, path, kind, body):
        """The id of what was made, None where nothing may be changed."""
        if not self._act:
            return None
        return self._cloud.post(path, {kind: body})[kind]["id"]

    def _do(self, verb, path, body):
        if self._act:
            getattr(self._cloud, verb)(path, body)
