"""The record of one-shot jobs, beside the data that they describe: a restored database is migrated again.

A job is due until a success with the same image and the same input is recorded. A lease makes one host run it; it is
taken and given back in one statement each, and times are the database's, so clocks of hosts do not matter.
"""

from saltern_toolbox.report import Failed

SCHEMA = "saltern"
TABLE = f"{SCHEMA}.jobs"
CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (
    service VARCHAR(64) NOT NULL,
    job VARCHAR(64) NOT NULL,
    image_id VARCHAR(128) NOT NULL,
    input VARCHAR(128) NOT NULL,
    started DATETIME NULL,
    finished DATETIME NULL,
    holder VARCHAR(255) NULL,
    lease_until DATETIME NULL,
    PRIMARY KEY (service, job)) ENGINE=InnoDB"""


def recorded(server):
    """Finished jobs by service and name, as (image id, input)."""
    there = server.query(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = 'jobs'", (SCHEMA,)
    )
    if not there:
        return {}
    rows = server.query(f"SELECT service, job, image_id, input FROM {TABLE} WHERE finished IS NOT NULL")
    return {(service, job): (image, given) for service, job, image, given in rows}


def due(service, wanted, done):
    """Names of the jobs without a recorded success, in order."""
    return [job["name"] for job in wanted if done.get((service, job["name"])) != (job["image_id"], job["input"])]


def begin(server, service, job, lease):
    """Take the lease of a job. Returns {"begin": "run" | "done" | "held", "holder", "until"}.

    A lease of the same host is taken over: its owner is the same minion, which has removed what a killed run left.
    """
    server.query(f"CREATE DATABASE IF NOT EXISTS {SCHEMA} CHARACTER SET utf8mb4")
    server.query(CREATE)
    server.query(
        f"INSERT IGNORE INTO {TABLE} (service, job, image_id, input) VALUES (%s, %s, '', '')", (service, job["name"])
    )
    if not lease.get("force") and recorded(server).get((service, job["name"])) == (job["image_id"], job["input"]):
        return {"begin": "done"}
    host = lease["holder"].partition("/")[0]
    server.query(
        f"UPDATE {TABLE} SET holder = %s, image_id = %s, input = %s, started = UTC_TIMESTAMP(), finished = NULL,"
        " lease_until = UTC_TIMESTAMP() + INTERVAL %s SECOND WHERE service = %s AND job = %s AND"
        " (holder IS NULL OR lease_until IS NULL OR lease_until < UTC_TIMESTAMP()"
        " OR SUBSTRING_INDEX(holder, '/', 1) = %s)",
        (lease["holder"], job["image_id"], job["input"], int(lease["seconds"]), service, job["name"], host),
    )
    holder, until = _holder(server, service, job["name"])
    return {"begin": "run" if holder == lease["holder"] else "held", "holder": holder, "until": until}


def end(server, service, job, lease, succeeded):
    """Record the outcome and give the lease back. Raises Failed when another host has taken it meanwhile."""
    holder, _ = _holder(server, service, job["name"])
    if holder != lease["holder"]:
        raise Failed(f"lease lost: job {job['name']} of {service} is now held by {holder}")
    finished = "UTC_TIMESTAMP()" if succeeded else "NULL"
    server.query(
        f"UPDATE {TABLE} SET finished = {finished}, lease_until = NULL, holder = NULL"
        " WHERE service = %s AND job = %s AND holder = %s",
        (service, job["name"], lease["holder"]),
    )
    return {"ended": "ok" if succeeded else "failed"}


def _holder(server, service, name):
    rows = server.query(
        f"SELECT holder, DATE_FORMAT(lease_until, '%%Y-%%m-%%d %%H:%%i:%%s') FROM {TABLE}"
        " WHERE service = %s AND job = %s",
        (service, name),
    )
    return rows[0] if rows else (None, None)
