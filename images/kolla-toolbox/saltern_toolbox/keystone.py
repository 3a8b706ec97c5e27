"""A client for Keystone's API: one session, bounded in time, errors in words."""

from keystoneauth1 import exceptions, session
from keystoneauth1.identity.v3 import Password

from saltern_toolbox.report import Failed, Unreachable

SECONDS = 30
NOT_NOW = (500, 502, 503, 504)


def administrator(where, **options):
    """The administrator's login, for a session."""
    return Password(
        auth_url=where["auth_url"],
        username=where["user"],
        password=where["password"],
        project_name=where["project"],
        user_domain_name=where["domain"],
        project_domain_name=where["domain"],
        **options,
    )


def connect(where):
    """A client that has logged in as the administrator."""
    auth = administrator(where, include_catalog=False, reauthenticate=False)
    cloud = Cloud(session.Session(auth=auth, timeout=SECONDS), where["auth_url"].rstrip("/"))
    cloud.log_in()
    return cloud


def in_words(error):
    status = getattr(error, "http_status", None)
    if isinstance(error, exceptions.Unauthorized):
        return Failed("identity refused: the administrator's name or password is wrong")
    if isinstance(error, exceptions.ConnectionError) or status in NOT_NOW:
        return Unreachable(f"identity unreachable: {error}")
    return Failed(f"identity refused: {error}")


class Cloud:
    """Keystone's v3 API; paths are below the address of the administrator's login."""

    def __init__(self, connection, url):
        self._connection, self._url = connection, url

    def log_in(self):
        self._guard(self._connection.get_token)

    def get(self, path, **query):
        return self._call("GET", path, params=query).json()

    def post(self, path, body):
        return self._call("POST", path, json=body).json()

    def patch(self, path, body):
        return self._call("PATCH", path, json=body).json()

    def put(self, path, body):
        return self._call("PUT", path, json=body)

    def delete(self, path, _body=None):
        return self._call("DELETE", path)

    def password_is_right(self, user, password):
        """Try to log in, without a project: the only way to know, as Keystone stores a salted hash."""
        identity = {"methods": ["password"], "password": {"user": {"id": user, "password": password}}}
        body = {"auth": {"identity": identity, "scope": "unscoped"}}
        answer = self._call("POST", "/auth/tokens", json=body, authenticated=False, raise_exc=False)
        if answer.status_code in (201, 401):
            return bool(answer.status_code == 201)
        raise (Unreachable if answer.status_code in NOT_NOW else Failed)(
            f"identity unreachable: answer {answer.status_code} to a login"
        )

    def _call(self, verb, path, **options):
        # log=False: bodies hold passwords, and a debug log would show them.
        return self._guard(lambda: self._connection.request(f"{self._url}{path}", verb, log=False, **options))

    @staticmethod
    def _guard(do):
        try:
            return do()
        except exceptions.ClientException as error:
            raise in_words(error) from None
