"""One question to each of many hosts, a bounded number at once, and an end to it when the operator interrupts."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import salt.client
import salt.utils.jid

from saltern.plan.ask import Asker
from saltern_front.front import Front

LIMIT = 7200.0  # seconds one host may take


class Crowd:
    """Asks hosts; each gets arguments of its own.

    front
        The verb's view of Salt; its options are copied, as dunders are empty in threads.
    at_once
        Hosts asked at once.
    """

    def __init__(self, front: Front, at_once: int) -> None:
        self._opts, self._front = dict(front.opts), front
        self._at_once, self._lock, self._stopped = max(1, at_once), threading.Lock(), False
        self._jobs: dict[str, str] = {}

    def ask(
        self, function: str, questions: Mapping[str, Mapping[str, Any]], ended: Callable[[str, Any], None]
    ) -> dict[str, Any]:
        """What each host returned; None where it is silent.

        function
            Of an execution module.
        questions
            Host → keyword arguments.
        ended
            Told host and what it returned, as it comes.

        An interrupt ends the jobs that run, and is raised again.
        """

        waiting, results = deque(questions), queue.SimpleQueue[tuple[str, Any, BaseException | None]]()

        def work() -> None:
            while waiting and not self._stopped:
                try:
                    host = waiting.popleft()
                except IndexError:  # another thread took the last one
                    return
                try:
                    results.put((host, self._one(host, function, dict(questions[host])), None))
                except BaseException as error:
                    results.put((host, None, error))

        # daemons: after an interrupt nobody waits for answers that do not come any more
        for _ in range(min(self._at_once, len(questions))):
            threading.Thread(target=work, daemon=True).start()
        found: dict[str, Any] = {}
        try:
            while len(found) < len(questions):
                host, answer, error = results.get()
                if error is not None:
                    raise error
                found[host] = answer
                ended(host, answer)
        except BaseException:
            self._stop()
            raise
        return {host: found[host] for host in questions}

    def _one(self, host: str, function: str, arguments: dict[str, Any]) -> Any:
        def new_jid() -> str:
            jid = str(salt.utils.jid.gen_jid(self._opts))
            with self._lock:
                self._jobs.setdefault(host, jid)
            return jid

        with salt.client.LocalClient(mopts=dict(self._opts)) as client:
            answers = Asker(client, new_jid).ask([host], function, (), arguments, limit=LIMIT)
        with self._lock:
            self._jobs.pop(host, None)
        return answers.returns.get(host)

    def _stop(self) -> None:
        self._stopped = True
        with self._lock:
            running = dict(self._jobs)
        for host, jid in running.items():
            self._front.ask([host], "saltutil.term_job", [jid])
