# Run in every R kernel before the first block of a page: errors where R would pass on silently.
local({
  # IRkernel sets its own readline() and quit() before each block; its shadow of the search path
  # is what the user's code sees first.
  shadow <- function(name, value) IRkernel:::add_to_user_searchpath(name, value)
  unattended <- function(...) stop("nobody is there to answer: lesson code runs unattended", call. = FALSE)
  ends_session <- function(...) stop("quit() ends the session of whoever runs it", call. = FALSE)
  only_here <- function(host = "localhost", ...) {
    here <- c("localhost", "::1", Sys.getenv("LESSON_ALLOWED_HOST"))
    if (!(host %in% here) && !startsWith(host, "127.")) {
      stop("lesson code reaches only this machine, not ", host, call. = FALSE)
    }
    base::socketConnection(host, ...)
  }
  shadow("readline", unattended)
  shadow("quit", ends_session)
  shadow("q", ends_session)
  shadow("socketConnection", only_here)
  options(cli.num_colors = 1L, crayon.enabled = FALSE, width = 80)
})
