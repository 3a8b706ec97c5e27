"""Clients of Neutron, Nova, Glance and Placement: one login, each call bounded in time, errors in words."""

from keystoneauth1 import exceptions, session

from saltern_toolbox.keystone import NOT_NOW, SECONDS, administrator
from saltern_toolbox.report import Failed, Refused, Unreachable

# What follows a catalogue's address, and the version of the API that the program speaks. Of Nova it is the last one
# in which hypervisors tell their size.
PATHS = {"network": "/v2.0", "image": "/v2", "compute": "", "placement": ""}
VERSIONS = {"compute": "compute 2.87", "placement": "placement 1.36"}


class Apis:
    """One login and a client for each service; a service is looked up when it is first called."""

    def __init__(self, connection, region, interface="public"):
        self._connection, self._region, self._interface = connection, region, interface
        for name in PATHS:
            setattr(self, name, Api(name, self))

    def project(self):
        return guarded("identity", self._connection.get_project_id)

    def user(self):
        return guarded("identity", self._connection.get_user_id)

    def address(self, name):
        """Where a service is. Raises Failed for one that the catalogue does not have."""
        where = {"service_type": name, "interface": self._interface, "region_name": self._region}
        found = guarded("identity", lambda: self._connection.auth.get_access(self._connection).service_catalog)
        url = found.url_for(**where) if found.get_endpoints(**where) else None
        if not url:
            raise Failed(f"{name}: not in the catalogue (salt-run openstack.deploy)")
        url = url.rstrip("/")
        return url if url.endswith(PATHS[name]) else url + PATHS[name]

    def request(self, url, verb, **options):
        return self._connection.request(url, verb, log=False, **options)


class Api:
    """The REST calls of one service, JSON in and out; errors leave it as Failed or Unreachable."""

    def __init__(self, name, apis):
        self._name, self._apis, self._url = name, apis, None

    def get(self, path, **query):
        return self._call("GET", path, params=query).json()

    def post(self, path, body):
        answer = self._call("POST", path, json=body)
        return answer.json() if answer.content else {}

    def put(self, path, body):
        return self._call("PUT", path, json=body).json()

    def patch(self, path, body, kind="application/json"):
        return self._call("PATCH", path, json=body, headers={"Content-Type": kind})

    def upload(self, path, data):
        self._call("PUT", path, data=data, headers={"Content-Type": "application/octet-stream"})

    def delete(self, path):
        """Whether it was there."""
        try:
            self._call("DELETE", path)
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    def _call(self, verb, path, headers=None, **options):
        if self._url is None:
            self._url = self._apis.address(self._name)
        version = VERSIONS.get(self._name)
        headers = {**({"OpenStack-API-Version": version} if version else {}), **(headers or {})}
        return guarded(self._name, lambda: self._apis.request(f"{self._url}{path}", verb, headers=headers, **options))


def guarded(what, do):
    """Call ``do``; errors of the client become the program's own, which begin with the name of the service."""
    try:
        return do()
    except exceptions.Unauthorized:
        raise Refused(f"{what}: the administrator's name or password is refused", 401) from None
    except exceptions.HttpError as error:
        kind = Unreachable if error.http_status in NOT_NOW else Refused
        raise kind(f"{what}: {said(error)}", error.http_status) from None
    except exceptions.ClientException as error:
        raise Unreachable(f"{what} unreachable: {error}") from None


def said(error):
    """An API's own words, without the client's decoration; the client does not know where Nova's are."""
    try:
        (fault,) = error.response.json().values()
        words = fault["message"]
    except (AttributeError, KeyError, TypeError, ValueError):
        words = error.message or type(error).__name__
    return f"{words} ({error.http_status})"


def connect(where, seconds=SECONDS):
    """A login as the administrator. Raises Failed or Unreachable.

    seconds
        How long one call may take.
    """
    made = session.Session(auth=administrator(where), timeout=seconds)
    guarded("identity", made.get_token)
    return Apis(made, where["region"])
