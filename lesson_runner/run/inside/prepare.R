# Run in every R kernel before the first block of a page: errors where R would pass on silently.
local({
  # IRkernel sets its own readline() and quit() before each block; the user's code sees its shadow
  # of the search path first.
  shadow <- function(name, value) IRkernel:::add_to_user_searchpath(name, value)
  unattended <- function(...) stop("nobody is there to answer: lesson code runs unattended", call. = FALSE)
  ends_session <- function(...) stop("quit() ends the session of the person who runs it", call. = FALSE)
  only_here <- function(host = "localhost", ...) {
    here <- c("localhost", "::1", strsplit(Sys.getenv("LESSON_ALLOWED_HOSTS"), ",")[[1]])
    if (!(host %in% here) && !startsWith(host, "127.")) {
      stop("lesson code reaches only this machine, not ", host, call. = FALSE)
    }
    base::socketConnection(host, ...)
  }
  shadow("readline", unattended)
  shadow("browser", unattended)
  shadow("quit", ends_session)
  shadow("q", ends_session)
  shadow("socketConnection", only_here)
  options(cli.num_colors = 1L, crayon.enabled = FALSE, width = 80)

  # IRkernel does not say which line failed: note it for the runner.
  failed <- file.path(dirname(Sys.getenv("LESSON_PAGE")), "failed-line")
  note <- function(line) cat(line, file = failed)
  # The innermost call of this block whose place R has kept, or else the lines of the expression.
  # If these are several, the one with the call that the error names, or with stop().
  failing_line <- function(e, first, last) {
    code <- NULL
    for (frame in sys.frames()) {
      if (identical(topenv(frame), asNamespace("evaluate"))) code <- c(code, frame$input)
    }
    lines <- strsplit(code[1], "\n", fixed = TRUE)[[1]]
    for (call in sys.calls()) {
      place <- attr(call, "srcref")
      if (!is.null(place) && identical(attr(place, "srcfile")$lines, lines)) {
        first <- place[1]
        last <- place[3]
      }
    }
    for (name in c(conditionCall(e)[[1]], quote(stop))) {
      if (!is.name(name)) next
      calling <- paste0("\\b\\Q", name, "\\E\\(")
      found <- grep(calling, sub("#.*", "", lines[first:last]), perl = TRUE)
      if (length(found) == 1) return(first + found - 1L)
    }
    first
  }
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
          note(first)
          stop("no function to return from, jumping to top level", call. = FALSE)
        }
        src
      },
      error = function(e) {
        note(failing_line(e, first, max(first, following - 1L)))
        error(e)
      }
    )
  }

  # In an R session, a sink or a graphics device that is left open takes all further output or plots.
  # In a notebook, what happens to them depends on the version of evaluate.
  sinks <- 0L
  shadow("sink", function(file = NULL, append = FALSE, type = c("output", "message"), split = FALSE) {
    base::sink(file, append, type, split)
    if (match.arg(type) == "output") sinks <<- max(0L, sinks + if (is.null(file)) -1L else 1L)
  })
  run_block <- evaluate::evaluate
  complain <- function(...) stop("the block leaves ", ..., call. = FALSE)
  checking_the_end <- function(...) {
    sinks <<- 0L
    devices <- grDevices::dev.list()
    try(stop(), silent = TRUE) # so that the last message of a try() is not an older one
    evaluated <- run_block(...)
    if (any(vapply(evaluated, inherits, NA, "error"))) return(evaluated)
    note(0L)
    # An endless recursion leaves evaluate no stack to report it; the try() inside it has the message.
    said <- geterrmessage()
    if (grepl("infinite recursion|C stack usage", said)) {
      stop(sub("^Error.*? ?: ", "", said, perl = TRUE), call. = FALSE)
    }
    open <- setdiff(grDevices::dev.list(), devices)
    for (device in open) grDevices::dev.off(device)
    messages <- sink.number("message") != 2
    if (messages) base::sink(type = "message")
    if (sinks > 0 || messages) complain("a sink() open: end it with sink()")
    if (length(open)) complain("a graphics device open: end it with dev.off()")
    evaluated
  }
  imports <- parent.env(asNamespace("IRkernel"))
  replace_import <- function(name, value) {
    unlockBinding(name, imports)
    assign(name, value, envir = imports)
  }
  replace_import("new_output_handler", noting_lines)
  replace_import("evaluate", checking_the_end)
})
