# Build the lesson in the folder that the call names with the Carpentries Workbench, or only
# `validate` it: what
# `make site` does after it has stamped the pages. A report of the Workbench ends it, and so does
# what is not installed.

needed <- c("sandpaper", "varnish", "pegboard")
has <- vapply(needed, requireNamespace, logical(1), quietly = TRUE)
if (!all(has)) {
  message(
    "R has no package ", paste(needed[!has], collapse = ", "), ", and the site needs it.\n",
    "How to install the Workbench: https://carpentries.github.io/workbench/"
  )
  quit(status = 2)
}
if (!rmarkdown::pandoc_available()) {
  message("The site needs pandoc, which is not here: https://pandoc.org/installing.html")
  quit(status = 2)
}
folder <- commandArgs(trailingOnly = TRUE)
if (!length(folder)) quit(status = 0) # only asked whether all is there

# validate_lesson() returns the same whether it found something or not, so its messages count.
reports <- character()
withCallingHandlers(
  sandpaper::validate_lesson(folder[1]),
  message = function(m) reports <<- c(reports, conditionMessage(m))
)
found <- grep("There were errors", reports, fixed = TRUE, value = TRUE)
if (length(found)) {
  message("The Workbench has something to say about these pages: see above.")
  quit(status = 1)
}
if (!"validate" %in% folder) sandpaper::build_lesson(folder[1], preview = FALSE)
