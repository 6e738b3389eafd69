"""One OpenAI-compatible server: its HTTP, and whose fault a bad answer is.

- Refused and lost connections and time-outs are the server's fault: `Unreachable`.
- 408, 425, 429, 502, 503 and 504 say that it has no room or time now: `Busy`.
- 500, and an answer that cannot be read, may be the request's fault as well: `TryFailed`.
- 400, 413 and 422 are the request's fault: `RequestFailed`.
- 401, 403, 404 and anything else are the configuration's: `OrchardError`.

The API key comes from the environment and leaves this module in one HTTP header only: it is masked
in all that an error quotes, before it is cut. A completion that holds it fails; but many servers
take any key, and of a dummy such as EMPTY a model may write.
"""

import asyncio
import json
import os
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from pydantic import BaseModel, ValidationError

from pipeline.config import ServerSettings
from pipeline.engine.base import RequestFailed
from pipeline.errors import OrchardError
from pipeline.escaped import visible

CHECK_SECONDS = 15  # for questions that need no model
LONGEST = 16 << 20  # bytes of any answer, such as the list of a server's models
# Bytes of a completion: what surrounds it, and what one token can take in JSON with its likeliest
# rivals. A server that ignores max_tokens is cut off there.
AROUND, OF_A_TOKEN = 64 << 10, 4 << 10
PATHS = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
QUOTED = 200  # characters of a server's own message in ours
SECRET = 16  # characters of the shortest key that nothing but an echo would repeat
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


class Unreachable(Exception):
    """Nobody is there, or there was no whole answer in time."""


class Busy(Exception):
    """The server wants to be left alone, for `seconds` if it says so."""

    def __init__(self, reason: str, seconds: float | None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class TryFailed(Exception):
    """This try gave nothing; the next may."""


class _Card(BaseModel):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class _Models(BaseModel):
    data: list[_Card]


@dataclass(frozen=True)
class Description:
    """What a server says of itself.

    `owner` is the software (vLLM says "vllm"); a null is what it does not say.
    """

    owner: str | None
    version: str | None
    max_model_len: int | None

    @property
    def is_vllm(self) -> bool:
        """Whether it takes vLLM's own request fields."""
        return self.owner == "vllm"


class Server:
    """A server and the model it is asked for."""

    path: str  # what `complete` asks
    section = "engine.servers"  # the settings to mend, in messages

    def __init__(self, settings: ServerSettings, model: str, seconds: float) -> None:
        self.url = settings.url
        self.path = PATHS[settings.api]
        self.model = settings.model or model
        self.limit = settings.max_in_flight
        self._seconds = seconds
        self._key_env = settings.key_env
        self._key = _key(settings)
        self._proxy = _proxy(settings.url)

    async def complete(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> bytes:
        """The answer to one completion request, unread. Raises what the module's head lists."""
        # none where scores are asked for
        tokens = body.get("max_tokens") or body.get("max_completion_tokens")
        longest = LONGEST if tokens is None else min(AROUND + OF_A_TOKEN * int(tokens), LONGEST)
        asked = {**body, "model": self.model}
        answer = await self._ask(session, "POST", self.path, self._seconds, asked, longest)
        if self._key and len(self._key) >= SECRET and self._key in _unescaped(answer):
            raise TryFailed("its answer holds our API key")
        return answer

    async def describe(self, session: aiohttp.ClientSession) -> Description:
        """Who answers at the address.

        Raises:
            OrchardError: it speaks another protocol, serves another model, or refuses the key.
            Unreachable, Busy, TryFailed: it does not answer now.
        """
        what = f"does not speak the OpenAI protocol at /v1/models: check {self.section}"
        answer = await self._ask(session, "GET", "/v1/models", CHECK_SECONDS)
        try:
            cards = _Models.model_validate_json(answer).data
        except ValidationError:
            raise OrchardError(
                f"server {self.url}: {what} (it sent {self._plain(_message(answer))!r})"
            ) from None
        card = next((card for card in cards if card.id == self.model), None)
        if card is None:
            served = self._plain(", ".join(repr(card.id) for card in cards[:5]) or "nothing")
            raise OrchardError(
                f"server {self.url}: serves {served} and not {self.model!r}: "
                f"set model in {self.section}"
            )
        return Description(card.owned_by, await self._version(session), card.max_model_len)

    async def tokens(self, session: aiohttp.ClientSession, text: str) -> list[int] | None:
        """Token ids of a text by vLLM's /tokenize; null where the server has none."""
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        try:
            return list(
                json.loads(await self._ask(session, "POST", "/tokenize", CHECK_SECONDS, body))[
                    "tokens"
                ]
            )
        except (
            OrchardError,
            RequestFailed,
            TryFailed,
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
        ):
            return None

    async def _version(self, session: aiohttp.ClientSession) -> str | None:
        """The version of its software where it has vLLM's /version; not every server has."""
        try:
            found = json.loads(await self._ask(session, "GET", "/version", CHECK_SECONDS))
            return str(found["version"])
        except (
            OrchardError,
            RequestFailed,
            TryFailed,
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
        ):
            return None

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        seconds: float,
        body: dict[str, Any] | None = None,
        longest: int = LONGEST,
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=CHECK_SECONDS)
        try:
            async with session.request(
                method,
                self.url + path,
                json=body,
                headers=headers,
                timeout=limit,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                content = await _read(response, longest)
        except aiohttp.ConnectionTimeoutError:
            raise Unreachable(f"no connection within {CHECK_SECONDS} s") from None
        except TimeoutError:
            raise Unreachable(f"no answer within {seconds:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(
                os.strerror(error.errno) if error.errno else self._plain(str(error))
            ) from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError):
            raise Unreachable("the connection was lost in the middle of an answer") from None
        except aiohttp.ClientError as error:
            raise TryFailed(f"its answer is not HTTP ({type(error).__name__})") from None
        if response.status != 200:
            raise self._refusal(path, response.status, response.headers.get("Retry-After"), content)
        return content

    def _refusal(
        self, path: str, status: int, retry_after: str | None, content: bytes
    ) -> Exception:
        said = self._plain(_message(content))
        if status in (408, 425, 429, 502, 503, 504):
            return Busy(f"{status}: {said}", _seconds(retry_after))
        if status >= 500:
            return TryFailed(f"{status}: {said}")
        if status in (400, 413, 422):
            return RequestFailed(f"server {self.url} refuses the request ({status}): {said}")
        if status in (401, 403):
            mend = (
                f"check what {self._key_env} holds"
                if self._key_env
                else f"set key_env in {self.section}"
            )
            return OrchardError(f"server {self.url}: refuses us ({status}): {mend}")
        return OrchardError(
            f"server {self.url}: {path} answers {status} ({said}): "
            f"check url and model in {self.section}"
        )

    def _plain(self, text: str) -> str:
        """One short line without the key, escaped or not."""
        if self._key:
            text = text if self._key not in _unescaped(text.encode()) else _unescaped(text.encode())
            text = text.replace(self._key, "***")
        text = visible(" ".join(text.split()))
        return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def _key(settings: ServerSettings) -> str | None:
    if settings.key_env is None:
        return None
    key = os.environ.get(settings.key_env, "").strip()
    if not key:
        raise OrchardError(
            f"server {settings.url}: the environment has no {settings.key_env}: "
            "export it, or drop key_env"
        )
    return key


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for the address, if any.

    Not aiohttp's trust_env: that would also send passwords from ~/.netrc.
    """
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def _read(response: aiohttp.ClientResponse, longest: int) -> bytes:
    """The whole body, up to the longest allowed, in bytes."""
    try:
        await response.content.readexactly(longest + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise TryFailed(f"its answer is longer than {longest >> 10} KiB, far more than was asked for")


def _unescaped(content: bytes) -> str:
    r"""A text as it reads once the escapes of JSON (`\u0073`, `\/`) and of addresses (`%73`) are
    taken off, so that an echo of a secret is found in whatever form it comes.
    """
    text = content.decode(errors="replace")
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).replace("\\/", "/")
    return unquote(text) if "%" in text else text


def _message(content: bytes) -> str:
    """What an error body says: the message in its JSON, else its beginning."""
    text = content[:4096].decode(errors="replace").strip()
    try:
        found = json.loads(content)
        error = found.get("error", found)
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, AttributeError, KeyError, RecursionError):
        return "an HTML page" if text[:1] == "<" else text or "nothing"


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header (RFC 9110, 10.2.3: seconds or a date) as seconds from now;
    null where there is none.
    """
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
