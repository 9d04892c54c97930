# Compare the labels of a model with the codes of people.
#
# The episodes "Evaluate against human codes" and "How sure, and how far off?" use it. Nothing here
# sends a request.

library(jsonlite)

topics <- c("health", "climate", "energy", "education", "equality", "none")

# All titles with their reference and the model's label, which is "missing" without one.
labelled_titles <- function(log = "data/labels.jsonl") {
  titles <- read.csv("data/titles.csv")
  labels <- stream_in(file(log), verbose = FALSE)[c("id", "label")]
  if (anyDuplicated(labels$id)) stop("a title has two labels in ", log)
  titles <- merge(titles, labels, by = "id", all.x = TRUE)
  names(titles)[names(titles) == "topic_label"] <- "reference"
  names(titles)[names(titles) == "label"] <- "model"
  titles$model[is.na(titles$model)] <- "missing"
  titles
}

# The titles that two people coded, with all four labels.
coded_titles <- function(log = "data/labels.jsonl") {
  codes <- read.csv("data/codes.csv")
  merge(codes, labelled_titles(log), by = "id")
}

# The share of the rows in which the model has the label of the reference.
accuracy <- function(data) {
  mean(data$reference == data$model)
}

# F1 of a topic: high only if both precision and recall are high.
f1 <- function(data, topic) {
  is_topic <- data$reference == topic
  says_topic <- data$model == topic
  2 * sum(is_topic & says_topic) / (sum(is_topic) + sum(says_topic))
}

# Agreement of two columns of labels, corrected for chance.
cohen_kappa <- function(a, b) {
  observed <- mean(a == b)
  labels <- union(a, b)
  share_a <- table(factor(a, labels)) / length(a)
  share_b <- table(factor(b, labels)) / length(b)
  expected <- sum(share_a * share_b)
  (observed - expected) / (1 - expected)
}

# The 95 % bootstrap interval of any score(data, ...) that is one number.
interval <- function(score, data, ...) {
  if (length(score(data, ...)) != 1) {
    stop("the score has to be one number, such as a mean")
  }
  set.seed(1)
  values <- numeric(1000)
  for (i in 1:1000) {
    again <- data[sample(nrow(data), replace = TRUE), ]
    values[i] <- score(again, ...)
  }
  # A rare label can be missing from a resample: 0 / 0 is NaN, and left out.
  round(quantile(values, c(0.025, 0.975), na.rm = TRUE), 2)
}

# Wilson's 95 % interval for a share of hits in n, which may be 0 or n.
wilson <- function(hits, n) {
  round(prop.test(hits, n, correct = FALSE)$conf.int[1:2], 2)
}

# The share of a topic in all titles, by the model, corrected by a random sample of them.
#
# Returns the share and its standard error.
corrected_share <- function(topic, sample, titles) {
  says_topic <- mean(titles$model == topic)
  missed <- (sample$reference == topic) - (sample$model == topic)
  c(says_topic + mean(missed), sd(missed) / sqrt(length(missed)))
}
