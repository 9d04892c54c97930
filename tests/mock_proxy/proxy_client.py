"""Ways to ask a proxy."""

from __future__ import annotations

import requests


class Client(requests.Session):
    """A session that sends its requests to one proxy, with one key."""

    def __init__(self, url: str, key: str | None = None) -> None:
        super().__init__()
        self.url = url
        if key is not None:
            self.headers["Authorization"] = f"Bearer {key}"

    def request(self, method, url, *args, **kwargs):  # type: ignore[no-untyped-def]
        kwargs.setdefault("timeout", 10)
        return super().request(method, self.url + url, *args, **kwargs)

    def ask(self, *texts: str, **parameters: object) -> requests.Response:
        """Post a chat; the texts are the user's and the assistant's in turn."""
        messages = [
            {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)
        ]
        body = {"model": "gpt-4o-mini", "messages": messages, **parameters}
        return self.post("/chat/completions", json=body)

    def answer(self, *texts: str, **parameters: object) -> str:
        """The text of the first answer."""
        response = self.ask(*texts, **parameters)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])
