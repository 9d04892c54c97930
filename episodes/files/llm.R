# Ask a language model through a LiteLLM proxy.
#
# This is the function that the episode "Chat completions" builds, with what the two episodes after
# it add: the cost of an answer, and another try after a failure that may pass. Address, key and
# model come from the environment variables LITELLM_BASE_URL, LITELLM_API_KEY and LITELLM_MODEL.
# The lesson needs httr2 1.1.1 or newer.

library(httr2)

# The value of an environment variable; an error with its name if it is not set.
from_environment <- function(name) {
  value <- Sys.getenv(name)
  if (!nzchar(value)) stop(name, " is not set", call. = FALSE)
  value
}

base_url <- from_environment("LITELLM_BASE_URL")
api_key <- from_environment("LITELLM_API_KEY")
default_model <- from_environment("LITELLM_MODEL")

# What the proxy says about a failure; a server in front of it may answer in HTML.
message_of <- function(response) {
  tryCatch(
    resp_body_json(response)$error$message,
    error = function(problem) substr(resp_body_string(response), 1, 300)
  )
}

# Busy or broken for a moment: wait and ask again, at most three times.
may_pass <- function(response) {
  resp_status(response) %in% c(408, 429, 500, 502, 503, 504)
}

proxy <- request(base_url) |>
  req_auth_bearer_token(api_key) |>
  req_timeout(60) |>
  req_retry(max_tries = 4, is_transient = may_pass) |>
  req_error(body = message_of)

# Send messages to a model, and return the body of the response as a list.
#
# A setting such as max_tokens = 5 goes into the request. If the proxy refuses, this is an error of
# class "httr2_http" with the proxy's own message; its field resp is the whole response.
# The list gets one more field, cost: US dollars, or NA if the proxy does not know.
chat <- function(messages, model = default_model, ...) {
  response <- proxy |>
    req_url_path_append("chat", "completions") |>
    req_body_json(list(model = model, messages = messages, ...)) |>
    req_perform()
  if (identical(resp_header(response, "x-practice-proxy-answer"), "rules")) {
    warning("No model answered: the practice proxy did, by its rules.", call. = FALSE)
  }
  reply <- resp_body_json(response)
  # No header, and in some versions of LiteLLM 0.0, means that the price is not known.
  cost <- as.numeric(resp_header(response, "x-litellm-response-cost"))
  reply$cost <- if (isTRUE(cost > 0)) cost else NA
  reply
}

# The text of the first answer in a reply.
text_of <- function(reply) {
  reply$choices[[1]]$message$content
}
