//! Errors of a recipe, with the place and the nearest valid key.

/// Why a recipe is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {file}")]
    Unreadable {
        /// Path as given.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key or name that this place does not have.
    #[error("{file} line {line}: unknown key `{key}`{}", hint(.nearest, .valid))]
    UnknownKey {
        /// Path as given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// As written.
        key: String,
        /// The valid key that differs in the fewest letters.
        nearest: Option<String>,
        /// All valid keys here.
        valid: Vec<String>,
    },
    /// A wrong type, a missing key, or text that is not TOML.
    #[error("{file} line {line}: {}{message}", .key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default())]
    Invalid {
        /// Path as given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The key on that line, if there is one.
        key: Option<String>,
        /// What the parser says.
        message: String,
    },
    /// A whole table is missing, so no line is to blame.
    #[error("{file} lacks the table `[{table}]`")]
    NoTable {
        /// Path as given.
        file: String,
        /// Its name.
        table: String,
    },
    /// A value that makes no sense.
    #[error("{file}{}: `{key}` {problem}", .line.map(|line| format!(" line {line}")).unwrap_or_default())]
    OutOfRange {
        /// Path as given.
        file: String,
        /// Counted from 1; `None` where no single line sets the key.
        line: Option<usize>,
        /// The key.
        key: String,
        /// Value and valid range.
        problem: String,
    },
}

fn hint(nearest: &Option<String>, valid: &[String]) -> String {
    let all = valid.join("`, `");
    match nearest {
        Some(nearest) => format!(", did you mean `{nearest}`? (valid here: `{all}`)"),
        None if valid.is_empty() => String::new(),
        None => format!(" (valid here: `{all}`)"),
    }
}

impl RecipeError {
    pub(super) fn from_toml(error: &toml::de::Error, text: &str, file: &str) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..start].matches('\n').count() + 1;
        let message = error.message();
        if let Some((key, valid)) = unknown_key(message) {
            return Self::UnknownKey {
                file: file.to_owned(),
                line,
                nearest: nearest(&key, &valid),
                key,
                valid,
            };
        }
        if let Some(table) = missing_table(message) {
            return Self::NoTable {
                file: file.to_owned(),
                table: table.to_owned(),
            };
        }
        // The parser's own words speak of elements, which a recipe does not have.
        let message = if message.starts_with("wanted exactly 1 element") {
            "each layer is one of `conv`, `pool` and `dense`, in braces of its own"
        } else {
            message
        };
        Self::Invalid {
            file: file.to_owned(),
            line,
            key: key_at(text, start),
            message: message.to_owned(),
        }
    }
}

/// The name in "missing field" where it is one of the recipe's own tables; none of their keys has
/// such a name.
fn missing_table(message: &str) -> Option<&str> {
    let name = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    [
        "data",
        "features",
        "model",
        "training",
        "retraining",
        "fleet",
    ]
    .contains(&name)
    .then_some(name)
}

/// The key whose value starts at this place: the word before the last `=` in front of it on its
/// line; where there is none, the first key of the line.
fn key_at(text: &str, at: usize) -> Option<String> {
    let from = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[from..].lines().next()?;
    let (before, _) = text[from..at]
        .rsplit_once('=')
        .or_else(|| line.split_once('='))?;
    if before.trim_start().starts_with('#') {
        return None;
    }
    let before = before.trim_end().trim_end_matches(['"', '\'']);
    let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = &before[before.trim_end_matches(is_key).len()..];
    (!key.is_empty()).then(|| key.to_owned())
}

/// The unknown key and the valid ones, from the two wordings there are: serde's for tables and
/// names (`Error::unknown_field`), the `toml` crate's for the keys of an enum's variant.
fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let quoted = message
        .strip_prefix("unknown field ")
        .or_else(|| message.strip_prefix("unknown variant "));
    if let Some(quoted) = quoted {
        let mut names = quoted.split('`').skip(1).step_by(2).map(str::to_owned);
        return Some((names.next()?, names.collect()));
    }
    let (found, valid) = message
        .strip_prefix("unexpected keys in table: ")?
        .split_once(", available keys: ")?;
    let valid = valid.split(", ").map(str::to_owned).collect();
    Some((found.split(", ").next()?.to_owned(), valid))
}

/// The line that sets a dotted key, counted from 1; `None` where it stands in no line or in several
/// of its table.
pub(super) fn line_of_key(text: &str, path: &str) -> Option<usize> {
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut current = String::new();
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            current = name.trim().to_owned();
        } else if line
            .split_once('=')
            .is_some_and(|(left, _)| current == table && left.trim() == key)
            && found.replace(index + 1).is_some()
        {
            return None;
        }
    }
    found
}

/// The candidate with the smallest edit distance, if it is less than two thirds of the key.
fn nearest(key: &str, candidates: &[String]) -> Option<String> {
    candidates
        .iter()
        .map(|candidate| (distance(key, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| {
            3 * distance <= 2 * key.chars().count().max(candidate.chars().count())
        })
        .map(|(_, candidate)| candidate.clone())
}

/// Letters to insert, delete or replace (Levenshtein), row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
