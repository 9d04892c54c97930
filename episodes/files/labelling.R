# Label titles with a codebook, and keep a log of each answer.
#
# The episode "Structured output" builds the first half of this file, "Classify a dataset" the
# second. Source llm.R first.

library(jsonlite)

topics <- c("health", "climate", "energy", "education", "equality", "none")

# A model that thinks first refuses a temperature: give it list(reasoning_effort = "low") instead.
default_settings <- list(temperature = 0)

# The text of a prompt, in which {title} marks the place of the title.
read_prompt <- function(path = "files/prompts/label-title.txt") {
  lines <- readLines(path, encoding = "UTF-8")
  paste0(lines, "\n", collapse = "")
}

# A response_format: the answer is an object with one field, a label from the list.
label_format <- function(labels) {
  schema <- list(
    type = "object",
    properties = list(label = list(type = "string", enum = as.list(labels))),
    required = list("label"),
    additionalProperties = FALSE
  )
  list(
    type = "json_schema",
    json_schema = list(name = "title_label", strict = TRUE, schema = schema)
  )
}

# The label in a reply. A reply without a usable one is an error of class "no_label".
read_label <- function(reply, labels) {
  reason <- reply$choices[[1]]$finish_reason
  if (reason != "stop") no_label("finish_reason is ", reason)
  label_in(text_of(reply), labels)
}

# The label in the text of a reply, which must be an object with a label from the list.
label_in <- function(text, labels) {
  answer <- tryCatch(parse_json(text), error = function(problem) NULL)
  label <- if (is.list(answer)) answer[["label"]]
  if (!is.character(label)) no_label("not an object with a label: ", text)
  if (!label %in% labels) no_label("not on the list: ", label)
  label
}

no_label <- function(...) {
  stop(errorCondition(paste0(...), class = "no_label"))
}

# Ask for the label of one title, and return a record of the question and the answer.
#
# row is a row of a data frame with the columns id and title. The record is a list.
label_title <- function(row, prompt, labels = topics,
                        model = default_model,
                        settings = default_settings) {
  content <- sub("{title}", row$title, prompt, fixed = TRUE)
  messages <- list(list(role = "user", content = content))
  arguments <- list(messages, model, response_format = label_format(labels))
  reply <- do.call(chat, c(arguments, settings))
  list(
    id = row$id,
    title = row$title,
    label = read_label(reply, labels),
    labels = labels,
    prompt_sha256 = fingerprint(prompt),
    model = reply$model,
    settings = settings,
    reply = text_of(reply),
    prompt_tokens = reply$usage$prompt_tokens,
    completion_tokens = reply$usage$completion_tokens,
    cost = reply$cost,
    time = format(Sys.time(), "%Y-%m-%dT%H:%M:%S+00:00", tz = "UTC")
  )
}

# The SHA-256 of a text: 64 characters that change with every change of the text.
fingerprint <- function(text) {
  as.character(openssl::sha256(text))
}

# Append a record to a log, one JSON object on a line.
append_line <- function(path, record) {
  line <- toJSON(record, auto_unbox = TRUE, digits = NA, na = "null")
  cat(line, "\n", file = path, append = TRUE, sep = "")
}

# The ids in a log; none if there is no file yet.
ids_in <- function(path) {
  if (!file.exists(path)) return(character())
  stream_in(file(path), verbose = FALSE)$id
}

# Label the titles that are in neither file yet, each with one line in one of them.
#
# A title that the proxy or its provider refuses (400), a reply without a label, and an answer that
# does not come in time are failures of one title: the run goes on, and notes them once another
# title works. Three of them in a row stop it, because then it is not the titles, and every other
# error stops it at once. Call it again to resume: what failed just before a stop is not noted, so
# it is asked again.
run <- function(titles, prompt, log = "labels.jsonl",
                failures = "failures.jsonl", in_a_row = 3, ...) {
  todo <- titles[!titles$id %in% c(ids_in(log), ids_in(failures)), ]
  failed <- list()
  for (row in split(todo, seq_len(nrow(todo)))) {
    record <- tryCatch(label_title(row, prompt, ...), error = function(problem) problem)
    if (!inherits(record, "error")) {
      append_lines(failures, failed)
      append_line(log, record)
      failed <- list()
    } else if (concerns_one_title(record)) {
      failed <- c(failed, list(list(id = row$id, problem = words_of(record))))
      if (length(failed) == in_a_row) {
        words <- sapply(failed, function(one) paste0(one$id, ": ", one$problem))
        stop(paste(c("Failures in a row:", words), collapse = "\n"), call. = FALSE)
      }
    } else {
      stop(record)
    }
  }
  append_lines(failures, failed)
}

append_lines <- function(path, records) {
  for (record in records) append_line(path, record)
}

# Whether the next title may work: this one is refused, without a label, or not in time. (Some
# versions of LiteLLM report a spent budget with 400, too. What curl says about a connection that
# cannot be made is "Connection timed out".)
concerns_one_title <- function(problem) {
  if (inherits(problem, "httr2_http_400")) {
    return(!grepl('"budget_exceeded"', resp_body_string(problem$resp), fixed = TRUE))
  }
  inherits(problem, "no_label") ||
    grepl("Operation timed out", conditionMessage(problem), fixed = TRUE)
}

# What went wrong. (The message of an error of httr2 is as wide and as colourful as the console.)
words_of <- function(problem) {
  if (inherits(problem, "httr2_http_400")) return(paste("400:", message_of(problem$resp)))
  conditionMessage(if (is.null(problem$parent)) problem else problem$parent)
}
