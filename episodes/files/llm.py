"""Ask a language model through a LiteLLM proxy.

This is the function that the episode "Chat completions" builds, with what the two episodes after it
add: the cost of an answer, and another try after a failure that may pass. Address, key and model
come from the environment variables LITELLM_BASE_URL, LITELLM_API_KEY and LITELLM_MODEL.
"""

import os
import warnings

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

BASE_URL = os.environ["LITELLM_BASE_URL"].rstrip("/")
API_KEY = os.environ["LITELLM_API_KEY"]
MODEL = os.environ["LITELLM_MODEL"]

session = requests.Session()
session.headers["Authorization"] = f"Bearer {API_KEY}"

# Busy or broken for a moment: wait and ask again, at most three times. Never after a timeout:
# the model may have answered, and you would pay twice.
again = Retry(
    total=3,
    read=False,
    status_forcelist=[408, 429, 500, 502, 503, 504],
    allowed_methods=["POST"],
    backoff_factor=0.5,
    raise_on_status=False,
)
session.mount(BASE_URL, HTTPAdapter(max_retries=again))


def chat(messages, model=MODEL, **settings):
    """Send messages to a model, and return the body of the response.

    A setting such as max_tokens=5 goes into the request. If the proxy refuses, this raises
    requests.HTTPError with the proxy's own message; error.response is the whole response.
    The body gets one more field, "cost": US dollars, or None if the proxy does not know.
    """
    body = {"model": model, "messages": messages, **settings}
    response = session.post(f"{BASE_URL}/chat/completions", json=body, timeout=60)
    if not response.ok:
        problem = f"{response.status_code}: {message_of(response)}"
        raise requests.HTTPError(problem, response=response)
    if response.headers.get("x-practice-proxy-answer") == "rules":
        warnings.warn("No model answered: the practice proxy did, by its rules.", stacklevel=2)
    reply = response.json()
    # No header, and in some versions of LiteLLM 0.0, means that the price is not known.
    cost = float(response.headers.get("x-litellm-response-cost", 0))
    reply["cost"] = cost if cost > 0 else None
    return reply


def message_of(response):
    """What the proxy says about a failure; a server in front of it may answer in HTML."""
    try:
        return response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return response.text[:300]


def text_of(reply):
    """The text of the first answer in a reply."""
    return reply["choices"][0]["message"]["content"]
