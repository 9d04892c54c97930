# Run in every R kernel before the first block of a page: errors where R would pass on silently.
local({
  # IRkernel sets its own readline() and quit() before each block; its shadow of the search path
  # is what the user's code sees first.
  shadow <- function(name, value) IRkernel:::add_to_user_searchpath(name, value)
  unattended <- function(...) stop("nobody is there to answer: lesson code runs unattended", call. = FALSE)
  ends_session <- function(...) stop("quit() ends the session of the person who runs it", call. = FALSE)
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

  # IRkernel does not say which expression failed: note its first and last line for the runner.
  failed <- file.path(dirname(Sys.getenv("LESSON_PAGE")), "failed-lines")
  original <- evaluate::new_output_handler
  # R refuses return() outside of functions, as everywhere but in IRkernel, which goes on.
  returns <- function(code) {
    if (!is.call(code)) return(FALSE)
    name <- if (is.name(code[[1]])) as.character(code[[1]]) else ""
    inside <- name %in% c("{", "(", "if", "for", "while", "repeat", "<-", "=")
    name == "return" || (inside && any(vapply(as.list(code)[-1], returns, NA)))
  }
  noting_lines <- function(..., error = identity) {
    first <- 1L
    following <- 1L
    original(
      ...,
      source = function(src) {
        first <<- following
        following <<- first + lengths(regmatches(src$src, gregexpr("\n", src$src)))
        parsed <- tryCatch(parse(text = src$src, keep.source = FALSE), error = function(e) NULL)
        if (any(vapply(as.list(parsed), returns, NA))) {
          cat(first, max(first, following - 1L), file = failed)
          stop("no function to return from, jumping to top level", call. = FALSE)
        }
        src
      },
      error = function(e) {
        cat(first, max(first, following - 1L), file = failed)
        error(e)
      }
    )
  }
  imports <- parent.env(asNamespace("IRkernel"))
  unlockBinding("new_output_handler", imports)
  assign("new_output_handler", noting_lines, envir = imports)
})
