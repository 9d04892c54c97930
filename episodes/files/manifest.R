# Summarise the log of a run in a small file, the run manifest.
#
# The episode "Reproduce and report" explains what is in it. Nothing here sends a request. Source
# llm.R and labelling.R first.

# Write the manifest of a run, and return it as a list.
#
# log, failures and titles are the paths of the run's files, files a vector of others to fingerprint,
# response one response, whose headers say what the proxy calls the model. If the key is in one of
# these files, this is an error with the file's name.
write_manifest <- function(log, failures, titles, files, response,
                           path = "manifest.json") {
  lines <- stream_in(file(log), verbose = FALSE)
  files <- c(log, titles, files)
  manifest <- list(
    models = as.list(unique(lines$model)),
    settings = unique(lines$settings),
    prompts = as.list(unique(lines$prompt_sha256)),
    first = min(lines$time),
    last = max(lines$time),
    titles = nrow(read.csv(titles)),
    labels = nrow(lines),
    failures = length(ids_in(failures)),
    prompt_tokens = sum(lines$prompt_tokens),
    completion_tokens = sum(lines$completion_tokens),
    # One unknown cost makes the sum unknown instead of too small.
    cost = round(sum(as.numeric(lines$cost)), 6),
    files = lapply(sapply(files, read_prompt), fingerprint),
    # From here on it is how things are now, and not how they were during the run.
    written = format(Sys.time(), "%Y-%m-%dT%H:%M:%S+00:00", tz = "UTC"),
    commit = commit(),
    versions = list(r = as.character(getRversion()),
                    httr2 = as.character(packageVersion("httr2"))),
    proxy = sapply(c("model-name", "model-id", "version"), function(name) {
      resp_header(response, paste0("x-litellm-", name))
    }, simplify = FALSE)
  )
  text <- toJSON(manifest, auto_unbox = TRUE, digits = NA, na = "null", null = "null")
  writeLines(prettify(text, 1), path, useBytes = TRUE)
  for (name in c(files, path)) {
    if (grepl(api_key, read_prompt(name), fixed = TRUE)) {
      stop("your key is in ", name, ": remove it before you publish anything", call. = FALSE)
    }
  }
  manifest
}

# The state of your scripts in Git, with "-dirty" if they have changed since, or NA.
commit <- function() {
  said <- tryCatch(
    suppressWarnings(system2("git", c("describe", "--always", "--dirty"),
                             stdout = TRUE, stderr = FALSE)),
    error = function(problem) character()
  )
  if (length(said) == 1) said else NA
}
